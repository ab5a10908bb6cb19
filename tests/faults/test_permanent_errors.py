"""What no retry mends ends an opening at the first attempt, with the reason in the error, once in the log."""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
import time

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn import passwords
from procrastinate_conn.connectors.runtime.connect_errors import is_permanent
from procrastinate_conn.connectors.runtime.stats import pool_stats
from tests.faults.unresponsive import closed_port
from tests.servers import ASYNC_KINDS, KINDS, connector
from tests.tls import TlsProxy

TIMEOUT = 20
SOON = 5

PERMANENT = {
    "a wrong password": ({"password": "wr0ng"}, "password authentication failed"),
    "no password": ({"password": "", "passfile": "/nowhere"}, "no password supplied"),
    "no such database": ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
    "a role that may not log in": (
        {"user": "nologin", "password": "x"},
        'role "nologin" is not permitted to log in',
    ),
    "TLS that the server has not": ({"sslmode": "require"}, "SSL"),
}


def open_connector(ours, kind):
    if kind in ASYNC_KINDS:
        asyncio.run(ours.open_async())
    else:
        ours.open()


@pytest.fixture
def scram_address(scram_server):
    with scram_server.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS nologin")
        connection.execute("CREATE ROLE nologin NOLOGIN PASSWORD 'x'")
    return scram_server.parameters("jobs")


@pytest.mark.parametrize("case", PERMANENT)
@pytest.mark.parametrize("kind", KINDS)
def test_opening_ends_at_the_first_attempt_with_the_reason(kind, case, scram_address, caplog):
    changed, reason = PERMANENT[case]
    ours = connector(kind, {**scram_address, **changed}, timeout=TIMEOUT, min_size=3)
    started = time.monotonic()
    with pytest.raises(ConnectorException) as caught:
        open_connector(ours, kind)
    assert time.monotonic() - started < SOON
    assert reason in str(caught.value)
    assert [record.name for record in caplog.records if reason in record.getMessage()] == ["psycopg.pool"]
    assert "wr0ng" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_opening_ends_if_the_certificate_does_not_verify(kind, server, database, tmp_path):
    other = tmp_path / "other.crt"
    with TlsProxy(server.host, server.port) as proxy, TlsProxy(server.host, server.port) as another:
        another.authority.cert_pem.write_to_path(str(other))
        address = {
            **server.parameters(database),
            "port": str(proxy.port),
            "sslmode": "verify-ca",
            "sslrootcert": str(other),
        }
        started = time.monotonic()
        with pytest.raises(ConnectorException, match="certificate verify failed"):
            open_connector(connector(kind, address, timeout=TIMEOUT, min_size=1), kind)
    assert time.monotonic() - started < SOON


@pytest.mark.parametrize("kind", KINDS)
def test_rejected_password_of_a_command_is_read_once_more(kind, scram_server, tmp_path):
    runs = tmp_path / "runs"
    script = f"open({str(runs)!r}, 'a').write('x'); print(open({str(runs)!r}).read())"
    address = {**scram_server.parameters("jobs")}
    del address["password"]
    command = passwords.from_command(shlex.join([sys.executable, "-c", script]))
    with pytest.raises(ConnectorException, match="password authentication failed"):
        open_connector(connector(kind, address, timeout=TIMEOUT, min_size=2, password=command), kind)
    assert runs.read_text() == "xx"


@pytest.mark.parametrize("kind", KINDS)
def test_opening_is_tried_again_if_another_host_may_come_back(kind, scram_address):
    with closed_port() as closed:
        port = f"{closed},{scram_address['port']}"
        hosts = {**scram_address, "host": "127.0.0.1,127.0.0.1", "port": port, "password": "wr0ng"}
        with pytest.raises(ConnectorException, match=r"initialization incomplete after 2\.00 sec"):
            open_connector(connector(kind, hosts, timeout=2, min_size=1), kind)


def test_error_is_tried_again_once_a_connector_is_open(scram_server):
    name = scram_server.create_database()
    ours = connector("sync-psycopg", scram_server.parameters(name), timeout=30, min_size=1)
    ours.open()
    scram_server.drop_database(name)
    with psycopg.connect(scram_server.dsn(), autocommit=True) as connection:
        timer = time.monotonic()
        ours.own_pool.sleep(1.5)
        connection.execute(f"CREATE DATABASE {name}")
        ours.execute_query("SELECT 1")
    assert time.monotonic() - timer < 25
    assert pool_stats(ours).connections_failed >= 0
    ours.close()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('FATAL:  password authentication failed for user "app"', True),
        ('connection to server at "db", port 5432 failed: FATAL:  role "app" does not exist\n', True),
        ("FATAL:  Passwort-Authentifizierung fehlgeschlagen (SQLSTATE 28P01)", True),
        ("FATAL:  Verbindungen erschöpft (SQLSTATE 53300)", False),
        ("FATAL:  the database system is starting up", False),
        ("FATAL:  sorry, too many clients already", False),
        ("connection refused\nFATAL:  no pg_hba.conf entry for host", False),
        ('FATAL:  no pg_hba.conf entry for host "::1"\nFATAL:  no pg_hba.conf entry for host "::1"', True),
        ('FATAL:  database "jobs" does not exist\nDETAIL:  It seems to have just been dropped.', True),
        ('could not open certificate file "c.crt": Permission denied', True),
        ('could not read certificate file "c.crt": no start line', True),
        ('could not read root certificate file "root.crt": no certificate or crl found', True),
        ("could not load system root certificate paths: no SSL error reported", True),
        ('could not load private key file "c.key": bad decrypt', True),
        ('could not load private SSL key "1" from engine "pkcs11": no such key', True),
        ('could not stat private key file "c.key": Permission denied', True),
        ('certificate present, but not private key file "c.key"', True),
        ('private key file "c.key" is not a regular file', True),
        ('private key file "c.key" has group or world access; file must have permissions u=rw (0600)', True),
        ('certificate does not match private key file "c.key": key values mismatch', True),
        ("host name must be specified for a verified SSL connection", True),
        ("could not establish SSL connection: Connection reset by peer", False),
        ("SSL SYSCALL error: EOF detected", False),
        ("", False),
    ],
)
def test_an_error_is_permanent_if_every_host_gave_such_a_reason(message, expected):
    assert is_permanent(message) is expected


@pytest.fixture(autouse=True)
def no_debug_records(caplog):
    caplog.set_level(logging.INFO)
