"""libpq's keywords mean the same to asyncpg as to psycopg: each accepts and rejects what the other does."""

from __future__ import annotations

import asyncio
import socket
import ssl

import psycopg
import pytest
import trustme

from tests.servers import connector
from tests.tls import TlsProxy


async def connects(kind, parameters):
    """Tell whether a kind gets a connection with these parameters, and a result on it."""
    factory = connector(kind, parameters).make_connection_factory()
    try:
        connection = await factory.connect()
    except psycopg.OperationalError:
        return False
    await factory.ping(connection)
    factory.discard(connection)
    return True


def of_both(parameters):
    """Return whether each kind connects, which has to be the same."""

    async def scenario():
        return [await connects(kind, parameters) for kind in ("psycopg", "asyncpg")]

    of_psycopg, of_asyncpg = asyncio.run(scenario())
    assert of_asyncpg == of_psycopg
    return of_asyncpg


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    return tmp_path


@pytest.fixture
def proxy(server, home):
    """Stands for a server ``db.test`` with TLS; the certificate of its authority is in ``home/ca.pem``."""
    with TlsProxy(server.host, server.port) as proxy:
        proxy.authority.issue_cert("db.test").configure_cert(proxy.context)
        proxy.authority.cert_pem.write_to_path(str(home / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(home / "other.pem"))
        yield proxy


@pytest.fixture
def at_proxy(address, proxy):
    return {**address, "host": "db.test", "hostaddr": "127.0.0.1", "port": str(proxy.port)}


TLS = [
    ({"sslmode": "require"}, True),
    ({"sslmode": "require", "sslrootcert": "other.pem"}, False),
    ({"sslmode": "require", "sslrootcert": "absent.pem"}, True),
    ({"sslmode": "require", "sslsni": "0"}, True),
    (
        {"sslmode": "require", "ssl_max_protocol_version": "TLSv1.2", "ssl_min_protocol_version": "TLSv1.2"},
        True,
    ),
    ({"sslmode": "verify-ca", "sslrootcert": "ca.pem", "host": "other.test"}, True),
    ({"sslmode": "verify-ca", "sslrootcert": "other.pem"}, False),
    ({"sslmode": "verify-ca", "sslrootcert": "absent.pem"}, False),
    ({"sslmode": "verify-full", "sslrootcert": "ca.pem"}, True),
    ({"sslmode": "verify-full", "sslrootcert": "ca.pem", "host": "other.test"}, False),
    ({"sslmode": "verify-full", "sslrootcert": "ca.pem", "host": ""}, False),
    ({"sslmode": "verify-full", "sslrootcert": "system"}, False),
    ({"sslmode": "disable"}, False),
    ({"sslmode": "allow"}, False),  # the server says nothing, and closes the connection
    ({"sslmode": "prefer"}, True),
]


@pytest.mark.parametrize(("keywords", "expected"), TLS, ids=str)
def test_tls_verifies_what_libpq_verifies(keywords, expected, at_proxy, home):
    files = {k: str(home / v) for k, v in keywords.items() if v.endswith(".pem")}
    assert of_both({**at_proxy, **keywords, **files}) is expected


def test_default_root_certificate_is_read_from_the_home_directory(at_proxy, home):
    root = home / ".postgresql" / "root.crt"
    root.write_bytes((home / "ca.pem").read_bytes())
    assert of_both({**at_proxy, "sslmode": "verify-full"})
    root.write_bytes((home / "other.pem").read_bytes())
    assert not of_both({**at_proxy, "sslmode": "require"})


@pytest.mark.parametrize(("mode", "expected"), [(0o600, True), (0o644, False)])
def test_client_certificate_is_sent_unless_others_can_read_its_key(mode, expected, at_proxy, proxy, home):
    proxy.context.verify_mode = ssl.CERT_REQUIRED
    proxy.authority.configure_trust(proxy.context)
    client = proxy.authority.issue_cert("client.test")
    client.cert_chain_pems[0].write_to_path(str(home / "client.pem"))
    client.private_key_pem.write_to_path(str(home / "client.key"))
    (home / "client.key").chmod(mode)
    files = {"sslcert": str(home / "client.pem"), "sslkey": str(home / "client.key")}
    assert of_both({**at_proxy, "sslmode": "require", **files}) is expected
    assert not of_both({**at_proxy, "sslmode": "require", **files, "sslcertmode": "disable"})


SESSION = (
    "SELECT current_setting('TimeZone') AS zone, current_setting('work_mem') AS work_mem,"
    " current_setting('application_name') AS name, current_setting('client_encoding') AS encoding"
)


def test_session_has_the_settings_that_libpq_sends(server, database, monkeypatch):
    parameters = {
        **server.parameters(database, unix_socket=True),
        "options": "-c work_mem=5MB",
        "fallback_application_name": "fallback",
        "client_encoding": "latin1",
    }

    async def session(kind):
        ours = connector(kind, parameters, min_size=1, timeout=5)
        await ours.open_async()
        try:
            return await ours.execute_query_one_async(SESSION)
        finally:
            await ours.close_async()

    with monkeypatch.context() as hostile:
        for name in ("PGTZ", "PGAPPNAME", "PGSSLMODE", "PGPASSWORD", "PGGSSLIB", "PGTARGETSESSIONATTRS"):
            hostile.setenv(name, "hostile")
        sessions = [asyncio.run(session(kind)) for kind in ("psycopg", "asyncpg")]
    assert sessions[0] == sessions[1]
    assert {**sessions[1], "zone": ""} == {
        "zone": "", "work_mem": "5MB", "name": "fallback", "encoding": "LATIN1"
    }  # fmt: skip


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_keepalives_are_set_on_the_socket(address):
    keywords = {"keepalives_idle": "11", "keepalives_interval": "6", "keepalives_count": "4"}

    async def options():
        factory = connector("asyncpg", {**address, **keywords, "tcp_user_timeout": "9000"})
        connection = await factory.make_connection_factory().connect()
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        values = [connection.socket.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
        await connection.close()
        return values

    assert asyncio.run(options()) == [11, 6, 4, 9000]


@pytest.mark.parametrize("line", [r"*:*:jobs:app:a\:b\\c", r"*:*:*:*:other", "127.0.0.1:1:jobs:app:wrong"])
def test_password_file_is_read_as_libpq_reads_it(line, scram_server, home):
    with scram_server.connect("jobs") as admin:
        admin.execute("DROP ROLE IF EXISTS app")
        admin.execute(r"CREATE ROLE app LOGIN PASSWORD 'a:b\c'")
    passfile = home / ".pgpass"
    passfile.write_text(f"# a comment\n{line}\n")
    passfile.chmod(0o600)
    parameters = {**scram_server.parameters("jobs"), "user": "app", "passfile": str(passfile)}
    parameters.pop("password", None)
    assert of_both(parameters) is line.endswith("c")
