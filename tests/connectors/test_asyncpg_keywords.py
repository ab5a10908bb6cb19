"""libpq's keywords mean the same to asyncpg as to psycopg: each accepts and rejects what the other does."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import HealthCheck, assume, given, settings

from procrastinate_conn.configuration import configure
from procrastinate_conn.connectors import build
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.sources import read_sources
from tests.resolution import cases
from tests.resolution.oracle import environment
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
        certificate = proxy.authority.issue_cert("db.test")
        certificate.configure_cert(proxy.context)
        [pem] = certificate.cert_chain_pems
        serial = x509.load_pem_x509_certificate(pem.bytes()).serial_number
        (home / "empty.pem").write_bytes(revocations(proxy.authority))
        (home / "revoked.pem").write_bytes(revocations(proxy.authority, serial))
        proxy.authority.cert_pem.write_to_path(str(home / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(home / "other.pem"))
        yield proxy


def revocations(authority, *serials):
    """Return a list of revoked certificates, in PEM."""
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    now = datetime.now(UTC)
    crl = x509.CertificateRevocationListBuilder(issuer, now, now + timedelta(days=1))
    for serial in serials:
        crl = crl.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now).build())
    return crl.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


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
    ({"sslmode": "verify-ca", "sslrootcert": "ca.pem", "sslcrl": "empty.pem"}, True),
    ({"sslmode": "verify-ca", "sslrootcert": "ca.pem", "sslcrl": "revoked.pem"}, False),
    ({"sslmode": "require", "sslnegotiation": "direct"}, True),
    ({"sslmode": "disable"}, False),
    ({"sslmode": "allow"}, False),  # the server says nothing, and closes the connection
    ({"sslmode": "prefer"}, True),
]


@pytest.mark.parametrize(("keywords", "expected"), TLS, ids=str)
def test_tls_verifies_what_libpq_verifies(keywords, expected, at_proxy, home):
    files = {k: str(home / v) for k, v in keywords.items() if v.endswith(".pem")}
    assert of_both({**at_proxy, **keywords, **files}) is expected


def test_system_roots_are_those_of_openssl(at_proxy, home, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "ca.pem"))
    assert of_both({**at_proxy, "sslmode": "verify-full", "sslrootcert": "system"})


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
    key = serialization.load_pem_private_key((home / "client.key").read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"hush")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (home / "client.key").write_bytes(key.private_bytes(*pem, encryption))
    for password in ("hush", "wrong"):
        connected = of_both({**at_proxy, "sslmode": "require", **files, "sslpassword": password})
        assert connected is (expected and password == "hush")


SESSIONS = {
    "any": True,
    "read-write": True,
    "read-only": False,
    "primary": True,
    "standby": False,
    "prefer-standby": True,
}


@pytest.mark.parametrize(("wanted", "expected"), SESSIONS.items())
def test_session_of_a_primary_has_the_attributes_that_are_demanded(wanted, expected, address):
    two = {**address, "host": "127.0.0.1,127.0.0.1", "port": f"1,{address['port']}"}
    assert of_both({**two, "load_balance_hosts": "random", "target_session_attrs": wanted}) is expected


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

    async def settings_of(kind):
        ours = connector(kind, parameters, min_size=1, timeout=5)
        await ours.open_async()
        try:
            return await ours.execute_query_one_async(SESSION)
        finally:
            await ours.close_async()

    with monkeypatch.context() as hostile:
        for name in ("PGTZ", "PGAPPNAME", "PGSSLMODE", "PGPASSWORD", "PGGSSLIB", "PGTARGETSESSIONATTRS"):
            hostile.setenv(name, "hostile")
        sessions = [asyncio.run(settings_of(kind)) for kind in ("psycopg", "asyncpg")]
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


async def session(kind, configuration):
    """Return the settings of a session; None if there is no connection."""
    config = ConnectorConfig(kind, configuration.spec, PoolOptions())
    try:
        connection = await build(config).make_connection_factory().connect()
    except psycopg.OperationalError:
        return None
    try:
        if kind == "asyncpg":
            return tuple(await connection.fetchrow(SESSION))
        return await (await connection.execute(SESSION)).fetchone()
    finally:
        await connection.close()


@settings(
    max_examples=int(os.environ.get("FUZZ_CASES", "40")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(keywords=cases.parameters())
def test_generated_keywords_mean_the_same_or_are_rejected_by_name(
    keywords, server, database, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # sslkeylogfile names a file that is written
    connection = {**keywords, **server.parameters(database), "hostaddr": server.host}
    with environment({"HOME": "/nowhere"}):
        of_psycopg, of_asyncpg = (
            configure(read_sources({"connector": kind, "connection": connection}, None, None))
            for kind in ("psycopg", "asyncpg")
        )
        assume(not of_psycopg.errors)
        if of_asyncpg.errors:
            assert {error.code for error in of_asyncpg.errors} == {"PC404"}
            assert all("choose the psycopg or aiopg connector" in error.hint for error in of_asyncpg.errors)
            return
        expected = asyncio.run(session(ConnectorKind.PSYCOPG, of_psycopg))
        assert asyncio.run(session(ConnectorKind.ASYNCPG, of_asyncpg)) == expected
