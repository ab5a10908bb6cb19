"""The doctor's check of TLS: version and cipher, verification, and expiry of the certificate."""

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
from procrastinate_conn.doctor.host_context import HostContext
from tests.doctor.run_doctor import DoctorRun
from tests.servers import ConnectorKind, connector_config
from tests.tls import TlsProxy

pytestmark = pytest.mark.subprocess

Behind = Callable[..., dict[str, str]]


@pytest.fixture
def authority(tmp_path) -> trustme.CA:
    """The certificate authority; its own certificate is in ``root.crt``."""
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


def test_verified_certificate_passes_with_its_days_left(behind_tls):
    doctor = DoctorRun(behind_tls())
    assert doctor.problems() == {}
    assert doctor["tls"].value == {
        "in_use": True,
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "verified": True,
        "host_name_verified": True,
        "days_left": 99,
    }
    assert doctor["tls"].message == "TLSv1.3, TLS_AES_256_GCM_SHA384; certificate verified, 99 days left"


def test_certificate_in_the_home_directory_that_libpq_gives_up_on_is_on_this_side(
    behind_tls, tmp_path, monkeypatch
):
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "postgresql.crt").write_text("no certificate")
    monkeypatch.setenv("HOME", str(tmp_path))
    login = DoctorRun(behind_tls())["login"]
    assert "could not read certificate file" in login.message
    assert "on this side" in login.hint
    assert "set sslcertmode=disable, or HOME" in login.hint


@pytest.mark.parametrize(
    ("mode", "root", "verified"),
    [
        ("verify-ca", True, "verified, except its host name"),
        ("require", True, "verified, except its host name"),  # as libpq does if it has a root
        ("require", False, "not verified"),
        ("prefer", False, "not verified"),
    ],
)
def test_verification_depends_on_sslmode_and_sslrootcert(behind_tls, mode, root, verified):
    address = behind_tls(name="other.example", sslmode=mode)
    if not root:
        del address["sslrootcert"]
    doctor = DoctorRun(address)
    assert doctor["tls"].status == "pass"
    assert f"certificate {verified}, 99 days left" in doctor["tls"].message


@pytest.mark.parametrize("mode", ["verify-full", "require"])
def test_certificate_that_expires_soon_is_a_warning(behind_tls, mode):
    doctor = DoctorRun(behind_tls(days=10.5, sslmode=mode))
    assert doctor.problems() == {"tls": "warning"}
    assert "10 days left" in doctor["tls"].message


def test_expired_certificate_fails_whether_libpq_rejects_it_or_not(behind_tls):
    rejected = DoctorRun(behind_tls(days=-3))
    assert rejected.problems() == {"login": "fail", "tls": "fail"}
    assert "has expired" in rejected["login"].hint
    accepted = behind_tls(days=-3, sslmode="require")
    del accepted["sslrootcert"]
    assert DoctorRun(accepted).problems() == {"tls": "fail"}


def test_certificate_for_another_host_name_fails_login(behind_tls):
    doctor = DoctorRun(behind_tls(name="other.example"))
    assert doctor.problems() == {"login": "fail"}
    assert "connect by the name that is in the certificate" in doctor["login"].hint


@pytest.mark.parametrize("name", [".localhost", "local..host", "l" * 64])
def test_host_name_that_python_rejects_leaves_the_certificate_uninspected(behind_tls, name):
    doctor = DoctorRun(behind_tls(host=name, hostaddr="127.0.0.1", sslmode="verify-ca"))
    assert doctor.problems() == {}
    assert doctor["tls"].message.startswith("in use; the certificate cannot be inspected: ")


def test_certificate_of_another_authority_fails_login(behind_tls, tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.crt"))
    doctor = DoctorRun(behind_tls(sslrootcert=str(tmp_path / "other.crt")))
    assert doctor.problems() == {"login": "fail"}
    assert "sslrootcert" in doctor["login"].hint


@pytest.mark.parametrize(("mode", "status"), [("disable", "warning"), ("prefer", "warning")])
def test_plain_text_to_another_machine_is_a_warning(address, mode, status):
    """The address decides; the session itself is on this machine, since there is no other here."""
    config = connector_config(ConnectorKind.PSYCOPG, {**address, "sslmode": mode})
    with psycopg.connect(**address) as connection:
        host = Host("db1", "", "5432")
        here = HostContext(host, config, 1, 0.0, "127.0.0.1", True, connection)
        local = tls.run(here)
        remote = tls.run(replace(here, address="192.0.2.1"))
    assert (local.status, remote.status) == ("pass", status)
    assert f"sslmode={mode}" in remote.message


def test_short_loopback_address_counts_as_this_machine(address):
    doctor = DoctorRun({**address, "host": "", "hostaddr": "127.1"})
    assert doctor.problems() == {}
    assert doctor["tls"].message == "not used, and the server is on this machine"


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
def test_version_and_cipher_agree_with_pg_stat_ssl(debian, authority, tmp_path):
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
    doctor = DoctorRun(address)
    assert doctor.problems() == {"schema": "fail"}
    value = doctor["tls"].value
    assert (value["version"], value["cipher"], value["host_name_verified"]) == (*seen, True)
    assert value["days_left"] > 100
