"""TLS as the doctor sees it: what was agreed on, what was verified, and for how long it is valid."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import trustme

from procrastinate_conn.connection.hosts import Host
from procrastinate_conn.demo.postgres import AS_ROOT, SERVER_USER, ensure_server_user, free_port
from procrastinate_conn.doctor import tls
from procrastinate_conn.doctor.host_context import Patient
from tests.doctor.run_doctor import Examined
from tests.servers import ConnectorKind, connector_config
from tests.tls import TlsProxy

pytestmark = pytest.mark.subprocess

Behind = Callable[..., dict[str, str]]


@pytest.fixture
def authority(tmp_path) -> trustme.CA:
    """Who signs certificates; its own is in ``root.crt``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "root.crt"))
    return authority


@pytest.fixture
def behind_tls(server, address, authority, tmp_path) -> Iterator[Behind]:
    """Put a TLS server in front of PostgreSQL, with a certificate that ends in so many days."""
    with ExitStack() as started:

        def begin(days: float = 100, name: str = "localhost", **keywords: str) -> dict[str, str]:
            proxy = started.enter_context(TlsProxy(server.host, server.port))
            end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
            start = end - dt.timedelta(days=365)
            certificate = authority.issue_cert(name, not_before=start, not_after=end)
            proxy.context = type(proxy.context)(proxy.context.protocol)
            certificate.configure_cert(proxy.context)
            root = str(tmp_path / "root.crt")
            return {
                **address,
                "host": "localhost",
                "port": str(proxy.port),
                "sslmode": "verify-full",
                "sslrootcert": root,
                **keywords,
            }

        yield begin


def test_a_verified_certificate_and_its_days(behind_tls):
    examined = Examined(behind_tls())
    assert examined.faults() == {}
    assert examined["tls"].value == {
        "in_use": True,
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "verified": True,
        "host_name_verified": True,
        "days_left": 99,
    }
    assert examined["tls"].message == "TLSv1.3, TLS_AES_256_GCM_SHA384; certificate verified, 99 days left"


@pytest.mark.parametrize(
    ("mode", "root", "verified"),
    [
        ("verify-ca", True, "verified, its host name not"),
        ("require", True, "verified, its host name not"),  # as libpq does where it has a root
        ("require", False, "not verified"),
        ("prefer", False, "not verified"),
    ],
)
def test_what_was_verified_depends_on_mode_and_root(behind_tls, mode, root, verified):
    address = behind_tls(name="other.example", sslmode=mode)
    if not root:
        del address["sslrootcert"]
    examined = Examined(address)
    assert examined["tls"].status == "pass"
    assert f"certificate {verified}, 99 days left" in examined["tls"].message


@pytest.mark.parametrize("mode", ["verify-full", "require"])
def test_a_certificate_that_ends_soon_is_a_warning(behind_tls, mode):
    examined = Examined(behind_tls(days=10.5, sslmode=mode))
    assert examined.faults() == {"tls": "warning"}
    assert "10 days left" in examined["tls"].message


def test_an_expired_certificate_is_told_where_libpq_refuses_it_and_where_it_does_not(behind_tls):
    refused = Examined(behind_tls(days=-3))
    assert refused.faults() == {"login": "fail", "tls": "fail"}
    assert "has expired" in refused["login"].hint
    taken = behind_tls(days=-3, sslmode="require")
    del taken["sslrootcert"]
    assert Examined(taken).faults() == {"tls": "fail"}


def test_a_certificate_for_another_name(behind_tls):
    examined = Examined(behind_tls(name="other.example"))
    assert examined.faults() == {"login": "fail"}
    assert "connect by the name that is in the certificate" in examined["login"].hint


@pytest.mark.parametrize("name", [".localhost", "local..host", "l" * 64])
def test_a_name_that_python_does_not_take_leaves_the_certificate_unseen(behind_tls, name):
    examined = Examined(behind_tls(host=name, hostaddr="127.0.0.1", sslmode="verify-ca"))
    assert examined.faults() == {}
    assert examined["tls"].message.startswith("in use; the certificate cannot be looked at: ")


def test_a_certificate_of_another_authority(behind_tls, tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.crt"))
    examined = Examined(behind_tls(sslrootcert=str(tmp_path / "other.crt")))
    assert examined.faults() == {"login": "fail"}
    assert "sslrootcert" in examined["login"].hint


@pytest.mark.parametrize(("mode", "status"), [("disable", "warning"), ("prefer", "warning")])
def test_plaintext_to_another_machine_is_a_warning(address, mode, status):
    """The address decides; the session itself is to this machine, for there is no other here."""
    plan = connector_config(ConnectorKind.PSYCOPG, {**address, "sslmode": mode})
    with psycopg.connect(**address) as connection:
        host = Host("db1", "", "5432")
        here = Patient(host, plan, True, 1, 0.0, "127.0.0.1", True, connection)
        [local] = tls.examine(here)
        [remote] = tls.examine(replace(here, address="192.0.2.1"))
    assert (local.status, remote.status) == ("pass", status)
    assert f"sslmode={mode}" in remote.message


def test_a_short_address_is_an_address(address):
    examined = Examined({**address, "host": "", "hostaddr": "127.1"})
    assert examined.faults() == {}
    assert examined["tls"].message == "not used, and the server is on this machine"


DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def debian() -> Iterator[tuple[Path, Callable[..., None]]]:
    """Debian's PostgreSQL, which is built with OpenSSL: its directory, and a way to run its commands."""
    directory = Path(tempfile.mkdtemp(prefix="pgtls-"))
    if AS_ROOT:
        ensure_server_user()
        shutil.chown(directory, SERVER_USER)

    def run(command: str, *arguments: str | Path) -> None:
        subprocess.run(
            [DEBIAN[-1].with_name(command), *arguments],
            check=True,
            cwd=directory,
            capture_output=command != "pg_ctl",  # whose server would keep the pipe
            user=SERVER_USER if AS_ROOT else None,
        )

    yield directory, run
    subprocess.run(
        [DEBIAN[-1].with_name("pg_ctl"), "stop", "-w", "-m", "immediate", "-D", directory / "data"],
        check=False,
        user=SERVER_USER if AS_ROOT else None,
    )
    shutil.rmtree(directory)


@pytest.mark.skipif(not DEBIAN, reason="there is no PostgreSQL with OpenSSL in /usr/lib/postgresql")
def test_postgresql_with_openssl_says_the_same_of_its_session(debian, authority, tmp_path):
    directory, run = debian
    data, port = directory / "data", free_port()
    run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "-D", data)
    certificate = authority.issue_cert("127.0.0.1")
    for name, blob in (
        ("server.key", certificate.private_key_pem),
        ("server.crt", certificate.cert_chain_pems[0]),
    ):
        blob.write_to_path(str(data / name))
        (data / name).chmod(0o600)
        if AS_ROOT:
            shutil.chown(data / name, SERVER_USER)
    settings = f"-c ssl=on -c fsync=off -c port={port} -c unix_socket_directories="
    run("pg_ctl", "start", "-w", "-D", data, "-l", directory / "log", "-o", settings)
    address = {
        "host": "127.0.0.1",
        "port": str(port),
        "user": "postgres",
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": str(tmp_path / "root.crt"),
    }
    with psycopg.connect(**address, autocommit=True) as connection:
        seen = connection.execute(
            "SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    examined = Examined(address)
    assert examined.faults() == {"schema": "fail"}
    value = examined["tls"].value
    assert (value["version"], value["cipher"], value["host_name_verified"]) == (*seen, True)
    assert value["days_left"] > 100
