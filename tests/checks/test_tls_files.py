"""Certificates and keys are reported exactly if libpq, connecting to a server with TLS, rejects them."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from procrastinate_conn.checks import tls_files
from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.configuration import configure
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.sources.arguments import read_call
from tests.resolution.other_user import NUMBER, as_unknown_user
from tests.tls import TlsProxy

CORPUS = Path(__file__).parent / "corpus"
CERTIFICATE = (CORPUS / "in-order-client-certificate" / "client.pem").read_text()
KEY = (CORPUS / "in-order-client-certificate" / "client.key").read_text()
OTHER_KEY = (CORPUS / "client-key-of-another-certificate" / "other.key").read_text()
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
ROOT = os.name == "posix" and os.geteuid() == 0


@pytest.fixture(scope="module")
def tls_accepting_server() -> Iterator[int]:
    """The port of a server that agrees to TLS and hangs up: libpq has read its files by then."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(10)
                    connection.recv(8)
                    connection.sendall(b"S")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)


def error_of_libpq(port: int, **parameters: str) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(
            host="127.0.0.1", port=port, user="app", dbname="jobs", connect_timeout=10, **parameters
        )
    return str(caught.value)


def codes_of_check(**parameters: str) -> list[str]:
    settings = {"host": "127.0.0.1", "sslmode": "require", **parameters}
    configuration = configure([read_call({"connection": settings})])
    return [problem.code for problem in tls_files.check(configuration)]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    written = {
        "client.pem": CERTIFICATE,
        "client.key": KEY,
        "other.key": OTHER_KEY,
        "bad.pem": "no certificate",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return {name: str(tmp_path / name) for name in (*written, "missing")}


@pytest.mark.skipif(os.name != "posix", reason="libpq looks at permissions on Unix alone")
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440, 0o644, 0o604, 0o660, 0o610, 0o700, 0o750])
@pytest.mark.parametrize("owner", ["this user", "root", "another user"])
def test_permissions_of_a_key_are_reported_exactly_if_libpq_rejects_them(
    mode: int, owner: str, files: dict[str, str], tls_accepting_server: int
) -> None:
    if not ROOT and owner != "this user":
        pytest.skip("only root can give files away")
    key = Path(files["client.key"])
    if owner == "another user":
        os.chown(key, 65534, 65534)
    key.chmod(mode)
    parameters = {"sslmode": "require", "sslcert": files["client.pem"], "sslkey": files["client.key"]}
    rejected = "has group or world access" in error_of_libpq(tls_accepting_server, **parameters)
    assert codes_of_check(**parameters) == (["PC505"] if rejected else [])


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"sslmode": "verify-full", "sslrootcert": "missing"}, "does not exist"),
        ({"sslmode": "verify-ca", "sslrootcert": "bad.pem"}, "could not read root certificate file"),
        ({"sslmode": "require", "sslrootcert": "bad.pem"}, "could not read root certificate file"),
        ({"sslmode": "require", "sslcert": "client.pem", "sslkey": "missing"}, "but not private key file"),
        (
            {"sslmode": "require", "sslcert": "client.pem", "sslkey": "other.key"},
            "could not load private key",
        ),
        (
            {"sslmode": "require", "sslcert": "bad.pem", "sslkey": "client.key"},
            "could not read certificate file",
        ),
    ],
    ids=str,
)
def test_file_that_libpq_rejects_is_reported(
    settings: dict[str, str], error: str, files: dict[str, str], tls_accepting_server: int
) -> None:
    parameters = {keyword: files.get(value, value) for keyword, value in settings.items()}
    assert error in error_of_libpq(tls_accepting_server, **parameters)
    assert codes_of_check(**parameters) == ["PC504"]


@pytest.mark.parametrize(
    "settings",
    [
        {"sslmode": "require", "sslcert": "missing"},
        {"sslmode": "require", "sslrootcert": "missing"},
    ],
    ids=str,
)
def test_file_that_libpq_ignores_silently_is_reported(
    settings: dict[str, str], files: dict[str, str], tls_accepting_server: int
) -> None:
    parameters = {keyword: files.get(value, value) for keyword, value in settings.items()}
    assert "certificate" not in error_of_libpq(tls_accepting_server, **parameters)
    assert codes_of_check(**parameters) == ["PC509"]


@pytest.mark.parametrize(
    "settings",
    [
        {"sslmode": "require", "sslcert": "client.pem", "sslkey": "client.key"},
        {"sslmode": "verify-full", "sslrootcert": "client.pem"},
        {"sslmode": "verify-full", "sslrootcert": "system"},
        {"sslmode": "disable", "sslcert": "missing"},
        {"sslmode": "require", "sslcert": ""},
    ],
    ids=str,
)
def test_file_that_libpq_accepts_is_not_reported(
    settings: dict[str, str], files: dict[str, str], tls_accepting_server: int
) -> None:
    parameters = {keyword: files.get(value, value) for keyword, value in settings.items()}
    error = error_of_libpq(tls_accepting_server, **parameters)
    assert not any(name in error for name in files.values())
    assert codes_of_check(**parameters) == []


def encrypted(passphrase: bytes) -> str:
    how = serialization.BestAvailableEncryption(passphrase)
    return loaded().private_bytes(PEM, PKCS8, how).decode()


def loaded() -> PrivateKeyTypes:
    return serialization.load_pem_private_key(KEY.encode(), None)


@pytest.mark.parametrize(
    ("key", "passphrase"),
    [
        (encrypted(b"hunter2"), "hunter2"),
        (encrypted(b"hunter2"), "another"),
        (encrypted(b"x" * 1023), "x" * 2000),
        (encrypted(b"\xff"), "\udcff"),
        (KEY.replace("BEGIN ", "BEGIN ENCRYPTED ").replace("END ", "END ENCRYPTED "), "hunter2"),
        ("no key", "hunter2"),
    ],
    ids=["right", "wrong", "cut off", "not UTF-8", "damaged", "no key"],
)
def test_encrypted_key_is_reported_exactly_if_libpq_cannot_load_it(
    key: str, passphrase: str, files: dict[str, str], tls_accepting_server: int
) -> None:
    Path(files["client.key"]).write_text(key)
    parameters = {"sslcert": files["client.pem"], "sslkey": files["client.key"], "sslmode": "require"}
    if "\udcff" in passphrase:  # which no driver passes on; check has to survive it
        assert codes_of_check(**parameters, sslpassword=passphrase) == []
        return
    rejected = "could not load private key" in error_of_libpq(
        tls_accepting_server, **parameters, sslpassword=passphrase
    )
    assert codes_of_check(**parameters, sslpassword=passphrase) == (["PC504"] if rejected else [])


def test_encrypted_key_without_passphrase_is_reported_without_a_prompt(files: dict[str, str]) -> None:
    Path(files["client.key"]).write_text(encrypted(b"hunter2"))
    assert codes_of_check(sslcert=files["client.pem"], sslkey=files["client.key"]) == ["PC504"]


def test_key_in_der_is_not_reported(files: dict[str, str], tls_accepting_server: int) -> None:
    der = loaded().private_bytes(serialization.Encoding.DER, PKCS8, serialization.NoEncryption())
    Path(files["client.key"]).write_bytes(der)
    parameters = {"sslcert": files["client.pem"], "sslkey": files["client.key"], "sslmode": "require"}
    assert "could not load" not in error_of_libpq(tls_accepting_server, **parameters)
    assert codes_of_check(**parameters) == []


@pytest.mark.parametrize("has_key", [True, False])
def test_certificate_without_key_is_checked_with_the_default_key(
    has_key: bool,
    files: dict[str, str],
    tls_accepting_server: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if has_key:
        (tmp_path / ".postgresql").mkdir()
        shutil.copy2(files["client.key"], tmp_path / ".postgresql" / "postgresql.key")
    parameters = {"sslcert": files["client.pem"], "sslmode": "require"}
    rejected = "but not private key file" in error_of_libpq(tls_accepting_server, **parameters)
    assert rejected is not has_key
    assert codes_of_check(**parameters) == (["PC504"] if rejected else [])
    assert codes_of_check(**parameters, sslcertmode="disable") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("keyword", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_pipe_is_reported_without_reading_it(keyword: str, files: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    parameters = {"sslcert": files["client.pem"], "sslkey": files["client.key"], keyword: f"{tmp_path}/pipe"}
    assert codes_of_check(**parameters) == ["PC509" if keyword == "sslcrl" else "PC504"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no file here that fails when read")
def test_certificate_whose_reading_fails_is_reported() -> None:
    assert codes_of_check(sslrootcert="/proc/self/mem") == ["PC504"]


MODES = ("allow", "prefer", "require", "verify-ca", "verify-full")
CLIENT = {"sslcert": "client.pem", "sslkey": "client.key"}
FAULTS: dict[str, dict[str, str]] = {
    "no such root": {"sslrootcert": "missing"},
    "a root that is none": {"sslrootcert": "bad.pem"},
    "a root that is a directory": {"sslrootcert": "."},
    "a root whose name is too long": {"sslrootcert": "x" * 300},
    "no such list": {"sslcrl": "missing"},
    "a list that is none": {"sslcrl": "bad.pem"},
    "no such directory of lists": {"sslcrldir": "missing"},
    "no such directory of lists, and no root": {"sslcrldir": "missing", "sslrootcert": "missing"},
    "no such list, nor directory": {"sslcrl": "missing", "sslcrldir": "missing"},
    "a list that is none, and no directory": {"sslcrl": "bad.pem", "sslcrldir": "missing"},
    "no such certificate": {**CLIENT, "sslcert": "missing"},
    "no such certificate, nor key": {"sslcert": "missing", "sslkey": "missing"},
    "no such certificate, and one is demanded": {**CLIENT, "sslcert": "missing", "sslcertmode": "require"},
    "a certificate that is none": {**CLIENT, "sslcert": "bad.pem"},
    "a certificate that is a directory": {**CLIENT, "sslcert": "."},
    "a certificate whose name is too long": {**CLIENT, "sslcert": "x" * 300},
    "a certificate in the place of its name": {**CLIENT, "sslcert": CERTIFICATE},
    "a long certificate in the place of its name": {**CLIENT, "sslcert": ("a" * 60 + "/") * 100},
    "a certificate without a key": {"sslcert": "client.pem"},
    "no such key": {**CLIENT, "sslkey": "missing"},
    "a key of another certificate": {**CLIENT, "sslkey": "other.key"},
    "a key that others can read": {**CLIENT, "sslkey": "open.key"},
    "a key without a certificate": {"sslkey": "open.key"},
    "no key and no certificate": {"sslkey": "missing"},
    "no certificate, and one is demanded": {"sslcertmode": "require"},
}
IN_ORDER: dict[str, dict[str, str]] = {
    "nothing": {},
    "a certificate and its key": CLIENT,
    "files that are not used": {"sslcert": "missing", "sslkey": "open.key", "sslcertmode": "disable"},
}


@pytest.fixture(scope="module")
def tls_server(server: EmbeddedPostgres) -> Iterator[TlsProxy]:
    """A server that takes clients with TLS, asks them for a certificate, and takes those without TLS, too."""
    with TlsProxy(server.host, server.port, accepts_plaintext=True) as proxy:
        proxy.context.verify_mode = ssl.CERT_OPTIONAL
        proxy.context.load_verify_locations(cadata=CERTIFICATE)
        proxy.handle_error = lambda *_: None  # libpq hangs up in the middle of a handshake, and may
        yield proxy


@pytest.fixture
def folder(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which is the home as well, with the files and a key that others can read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copy(files["client.key"], "open.key")
    Path("open.key").chmod(0o644)
    return tmp_path


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*FAULTS, *IN_ORDER])
def test_severity_is_error_exactly_if_libpq_does_not_connect(
    name: str, mode: str, folder: Path, tls_server: TlsProxy
) -> None:
    tls_server.authority.cert_pem.write_to_path(folder / "root.pem")
    settings = {"sslmode": mode, "sslrootcert": "root.pem", **(FAULTS | IN_ORDER)[name]}
    parameters = {"host": "127.0.0.1", "port": str(tls_server.port), **settings}
    try:
        psycopg.connect(user="postgres", dbname="postgres", connect_timeout=10, **parameters).close()
        connects = True
    except psycopg.OperationalError:
        connects = False
    found = {all_rules()[code].severity for code in codes_of_check(**parameters)}
    assert bool(found) == (name in FAULTS)
    assert ("error" in found) == (not connects)


def test_files_are_not_checked_for_a_unix_socket(server: EmbeddedPostgres) -> None:
    parameters = {"host": str(server.directory), "sslmode": "verify-full", "sslrootcert": "missing"}
    psycopg.connect(user="postgres", dbname="postgres", port=server.port, **parameters).close()
    assert codes_of_check(**parameters) == []
    assert codes_of_check(**{**parameters, "host": f"{server.directory},127.0.0.1"}) == ["PC504"]


def test_key_without_certificate_is_checked_with_the_default_certificate(
    files: dict[str, str], tls_accepting_server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    shutil.copy2(files["client.pem"], tmp_path / ".postgresql" / "postgresql.crt")
    for key, code in {"client.key": [], "other.key": ["PC504"], "missing": ["PC504"]}.items():
        parameters = {"sslmode": "require", "sslkey": files[key]}
        assert ("private key" in error_of_libpq(tls_accepting_server, **parameters)) == bool(code)
        assert codes_of_check(**parameters) == code


HOMES: dict[str, Callable[[Path], object]] = {
    "no folder": lambda home: None,
    "a home that may not be entered": lambda home: home.chmod(0),
    "a folder that may not be entered": lambda home: folder_of(home).chmod(0),
    "a folder that may not be listed": lambda home: folder_of(home).chmod(0o111),
    "a certificate that may not be read": lambda home: fill(home, "postgresql.crt").chmod(0),
    "a certificate that is none": lambda home: fill(home, "postgresql.crt", "none"),
    "a certificate without a key": lambda home: fill(home, "postgresql.crt"),
    "a certificate and its key": lambda home: (fill(home, "postgresql.crt"), fill(home, "postgresql.key")),
    "a key that may not be read": lambda home: fill(home, "postgresql.crt", "postgresql.key").chmod(0),
    "a root that may not be read": lambda home: fill(home, "root.crt").chmod(0),
    "a root that is none": lambda home: fill(home, "root.crt", "none"),
    "revocations that may not be read": lambda home: fill(home, "root.crl").chmod(0),
    "a file in the place of the folder": lambda home: (home / ".postgresql").touch(),
}
"""What a home directory may be like, to a user who is not its owner."""


def folder_of(home: Path) -> Path:
    (home / ".postgresql").mkdir(exist_ok=True)
    return home / ".postgresql"


def fill(home: Path, *names: str) -> Path:
    """Write files, each with what belongs in it, and return the last one."""
    folder = folder_of(home)
    for name in names:
        file = folder / name
        if name == "none":
            file = folder / names[0]
            file.write_text("no certificate")
        else:
            file.write_text(KEY if name.endswith(".key") else CERTIFICATE)
            file.chmod(0o600)
            if ROOT and name.endswith(".key"):
                os.chown(file, NUMBER, NUMBER)
        file.chmod(0o600 if name.endswith(".key") else 0o644)
    return file


@pytest.mark.subprocess
@pytest.mark.skipif(os.name != "posix", reason="homes have permissions on Unix alone")
@pytest.mark.parametrize("state", HOMES)
def test_files_of_the_home_directory_are_reported_exactly_if_libpq_gives_up_on_them(
    state: str, tls_accepting_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory() as folder:  # not below pytest's own, which other users may not enter
        Path(folder).chmod(0o755)
        home, root = Path(folder, "home"), Path(folder, "server.crt")
        home.mkdir()
        root.write_text(CERTIFICATE)
        HOMES[state](home)
        monkeypatch.setenv("HOME", str(home))

        def compare() -> list[tuple[str, str, str, list[str]]]:
            compared = []
            for mode, certmode in product(MODES[1:], ("disable", "allow", "require")):
                settings = {"sslmode": mode, "sslcertmode": certmode}
                if mode.startswith("verify"):
                    settings["sslrootcert"] = str(root)
                error = error_of_libpq(tls_accepting_server, **settings)
                compared.append((mode, certmode, error, codes_of_check(**settings)))
            return compared

        has_certificate = (home / ".postgresql" / "postgresql.crt").exists()
        compared = as_unknown_user(compare) if ROOT else compare()
        home.chmod(0o755)
    for mode, certmode, error, codes in compared:
        gives_up = str(home) in error
        if certmode == "require" and not gives_up and not has_certificate:
            continue  # libpq sees that only after the handshake: see the faults above
        expected = {"PC509" if (mode, certmode != "require") == ("prefer", True) else "PC504"}
        ignored = {"PC509"} if state.startswith("revocations") and mode.startswith("verify") else set()
        assert set(codes) == (expected if gives_up else set()) | ignored, (mode, certmode, error)
