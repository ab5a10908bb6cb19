"""The files that TLS needs: root certificates, the client's certificate and its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.validation import as_texts
from procrastinate_conn.files import status
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import is_file_content, redact_value

UNUSABLE_TLS_FILE = Rule(
    "PC504",
    "certificate or key that cannot be used",
    "libpq does not connect.",
    "Name a file in PEM format that exists and that the process may read.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1.example.com\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=verify-full\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=ca.pem",
        given="there is no file ca.pem",
    ),
)

EXPOSED_KEY = Rule(
    "PC505",
    "private key that others can read",
    "libpq does not use such a key, and does not connect.",
    "chmod 0600, or 0640 if the file belongs to root.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1.example.com\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=verify-full\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=system\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLCERT=client.pem\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLKEY=client.key",
        files={"client.key": "-----BEGIN PRIVATE KEY-----\n...\n"},
        given="client.pem is a certificate",
    ),
)

IGNORED_TLS_FILE = Rule(
    "PC509",
    "certificate or key that libpq ignores",
    "libpq reports nothing, and connects without what the file is for: no verification, no client"
    " certificate, no revocations, or not even TLS.",
    "Name a file that can be used, or leave the setting out.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1.example.com\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=require\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=ca.pem",
        given="there is no file ca.pem",
    ),
)

MAX_PATH = 1023
"""Bytes of a file's name that libpq reads: its ``MAXPGPATH``, less a NUL."""

MAX_PASSPHRASE = 1023
"""Bytes of a passphrase that OpenSSL reads: its ``PEM_BUFSIZE``, less a NUL."""

_ASN1_SEQUENCE = b"0"
"""The first byte of a key in DER."""

_DOES_NOT_CONNECT = "without it libpq does not connect"
_WITHOUT_TLS = "without it libpq connects without TLS"
_IGNORED = {
    "sslrootcert": "without it libpq verifies nothing",
    "sslcert": "without it libpq sends no client certificate",
    "sslcrl": "without it libpq checks no revocations",
    "sslcrldir": "without it libpq checks no revocations",
}
_CONTENT = {"sslkey": "key", "sslcrl": "list of revocations", "sslcrldir": "list of revocations"}

Fault = tuple[str, str]
"""What is wrong with a file, as a predicate of its keyword, and a hint, which may be empty."""


class TlsRequirements(NamedTuple):
    """What is required of TLS; it decides what libpq does without a file.

    Parameters
    ----------
    sslmode, sslcertmode
        The effective values.
    has_root
        Whether the server is verified against a file: revocations are checked only then.
    has_crl
        Whether sslcrl is set: libpq accepts an unusable sslcrldir only together with it.
    """

    sslmode: str
    sslcertmode: str
    has_root: bool
    has_crl: bool

    def consequence(self, keyword: str, *, absent: bool = False) -> str:
        """Return what libpq does if a file is unusable, or absent; see its ``initialize_SSL``."""
        is_ignored = {
            "sslrootcert": absent and not self.sslmode.startswith("verify"),
            "sslcert": absent and self.sslcertmode != "require",
            "sslcrl": True,
            "sslcrldir": not self.has_root or self.has_crl,  # else a list is required that is nowhere
        }
        if is_ignored.get(keyword):
            return _IGNORED[keyword]
        is_tls_optional = self.sslmode in ("allow", "prefer") and self.sslcertmode != "require"
        return _WITHOUT_TLS if is_tls_optional else _DOES_NOT_CONNECT


def check(configuration: Configuration) -> Iterator[Problem]:
    """Check the configured files: as for libpq, ``~`` is not expanded."""
    effective, spec = configuration.connection.effective, configuration.spec
    values = as_texts(effective)
    mode = (spec and spec.sslmode) or values.get("sslmode") or "prefer"
    uses_no_tls = mode == "disable" or values.get("gssencmode") == "require"
    if uses_no_tls or all(host.is_socket for host in hosts(values)):
        return
    root = values.get("sslrootcert") or str(default_file("root.crt"))
    requirements = TlsRequirements(
        sslmode=mode,
        sslcertmode=values.get("sslcertmode") or "allow",
        has_root=root != "system" and not _is_absent("sslrootcert", root),
        has_crl=bool(values.get("sslcrl")),
    )
    files = {keyword: sourced for keyword, sourced in effective.items() if sourced.value}
    for keyword in ("sslrootcert", "sslcrl", "sslcrldir"):
        if keyword in files and (keyword, files[keyword].value) != ("sslrootcert", "system"):
            yield from _check_file(keyword, files[keyword], requirements)
    if requirements.sslcertmode != "disable":
        yield from _check_client(files, requirements)


def default_file(name: str) -> Path:
    """Return the file of that name in the directory that libpq searches by default."""
    home = Path(libpq.home() or os.devnull)
    return home / name if os.name == "nt" else home / ".postgresql" / name


def _check_client(files: Mapping[str, SourcedValue], requirements: TlsRequirements) -> Iterator[Problem]:
    """Check the client certificate, and its key: libpq reads the key only if there is a certificate."""
    named, key, passphrase = files.get("sslcert"), files.get("sslkey"), files.get("sslpassword")
    default = default_file("postgresql.crt")
    certificate = named or SourcedValue(str(default), Origin(LIBPQ_DEFAULT.name))
    problems = list(_check_file("sslcert", named, requirements)) if named else []
    yield from problems
    if _is_absent("sslcert", str(certificate.value)):
        if key and not named:
            yield IGNORED_TLS_FILE(
                "connection.sslkey",
                f"sslkey is set without its certificate: sslcert is not, and there is no {default}",
                hint="set sslcert; libpq does not look for the certificate in the key's file",
                origin=key.origin,
            )
    elif key is None:
        if named and not problems:
            yield from _check_default_key(named, passphrase, requirements)
    elif os.name == "nt" or ":" not in str(key.value):  # else the key is in an OpenSSL engine
        key_problems = list(_check_file("sslkey", key, requirements))
        yield from key_problems
        if not problems and not key_problems:
            yield from _check_pair(certificate, key, passphrase, requirements)


def _check_file(keyword: str, sourced: SourcedValue, requirements: TlsRequirements) -> Iterator[Problem]:
    file = str(sourced.value)
    consequence = requirements.consequence(keyword, absent=_is_absent(keyword, file))
    if fault := _file_fault(keyword, file):
        yield _problem(keyword, sourced, fault, consequence)
    elif keyword == "sslkey":
        yield from _check_permissions(Path(file), sourced, consequence)


def _file_fault(keyword: str, file: str) -> Fault | None:
    if is_file_content(file):
        content = _CONTENT.get(keyword, "certificate")
        message = f"is the {content} itself, and libpq takes it for the name of a file"
        return message, "write it into a file, and name that"
    named, found, is_directory = f"names {_shown(file)}, which", status(file), keyword == "sslcrldir"
    if found is None:
        hint = "libpq does not expand ~; write the whole path" if file.startswith("~") else ""
        return f"{named} {_reason_absent(Path(file))}", hint
    if not (stat.S_ISDIR if is_directory else stat.S_ISREG)(found.st_mode):
        expected = "a directory" if is_directory else "a file"
        return f"{named} is not {expected}", f"name {expected}"
    if not os.access(file, os.R_OK):
        return f"{named} this user cannot read", ""
    if keyword in ("sslrootcert", "sslcert", "sslcrl") and not _is_pem(file):
        return f"{named} is not in PEM format", "libpq reads PEM files only"
    return None


def _is_absent(keyword: str, file: str) -> bool:
    """Return whether a file does not exist to libpq, as a root certificate does not if it cannot tell."""
    try:
        os.stat(os.fsencode(file)[:MAX_PATH])  # noqa: PTH116 - bytes, as libpq has them
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return keyword == "sslrootcert"
    return False


def _reason_absent(path: Path) -> str:
    """Return why a file is not found: the system hides the content of a directory without permission."""
    try:
        path.stat()
    except PermissionError:
        return "this user cannot access"
    except (OSError, ValueError):
        pass
    return "does not exist"


def _check_permissions(key: Path, sourced: SourcedValue, consequence: str) -> Iterator[Problem]:
    """Check a key as libpq's ``initialize_SSL`` does: root's may be readable for its group."""
    found = status(key)
    if found is None or os.name != "posix":
        return
    allowed = 0o640 if found.st_uid == 0 else 0o600
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077 & ~allowed:
        rule = EXPOSED_KEY if consequence == _DOES_NOT_CONNECT else IGNORED_TLS_FILE
        yield rule(
            "connection.sslkey",
            f"libpq does not use the private key {_shown(key)}: permissions {mode:04o} are too open",
            hint=f"chmod {allowed:04o} {_shown(key)}",
            origin=sourced.origin,
        )


def _check_default_key(
    certificate: SourcedValue, passphrase: SourcedValue | None, requirements: TlsRequirements
) -> Iterator[Problem]:
    """Check the key that libpq uses for a certificate that is configured without one."""
    default = default_file("postgresql.key")
    if libpq.home() is None:
        return
    consequence = requirements.consequence("sslkey")
    if status(default) is None:
        message = f"is set without its key: sslkey is not, and there is no {default}"
        hint = "set sslkey; libpq does not look for the key in the certificate's file"
        yield _problem("sslcert", certificate, (message, hint), consequence)
        return
    problems = list(_check_permissions(default, certificate, consequence))
    yield from problems
    if not problems:
        yield from _check_pair(certificate, replace(certificate, value=default), passphrase, requirements)


def _check_pair(
    certificate: SourcedValue,
    key: SourcedValue,
    passphrase: SourcedValue | None,
    requirements: TlsRequirements,
) -> Iterator[Problem]:
    password = os.fsencode(str(passphrase.value))[:MAX_PASSPHRASE] if passphrase else b""
    if fault := _key_fault(str(certificate.value), str(key.value), password):
        yield _problem("sslkey", key, fault, requirements.consequence("sslkey"))


def _key_fault(certificate: str, key: str, password: bytes) -> Fault | None:
    """Return why a key does not belong to a certificate; the terminal is never asked for a passphrase."""
    import ssl

    named = f"names {_shown(key)}, which"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the server decides how strong a key has to be
    try:
        context.load_cert_chain(certificate, key, password=password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{named} is not the key of {_shown(certificate)}", "name the key that belongs to it"
        return _unloadable_fault(named, Path(key).read_bytes(), password)
    except OSError:
        return f"{named} cannot be read", ""
    return None


def _unloadable_fault(named: str, content: bytes, password: bytes) -> Fault | None:
    if content.startswith(_ASN1_SEQUENCE):  # libpq can load DER, and Python cannot
        return None
    if b"ENCRYPTED" not in content:
        return f"{named} contains no valid key", "libpq reads PEM and DER"
    if password:
        return f"{named} sslpassword does not decrypt", "set the passphrase that it was encrypted with"
    return f"{named} is encrypted", "set the passphrase as sslpassword"


def _is_pem(file: str) -> bool:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError:  # which ssl.SSLError is
        return False
    return True


def _problem(keyword: str, sourced: SourcedValue, fault: Fault, consequence: str) -> Problem:
    """Make a problem; without a hint, the consequence takes its place."""
    rule = UNUSABLE_TLS_FILE if consequence == _DOES_NOT_CONNECT else IGNORED_TLS_FILE
    message, hint = fault
    return rule(
        f"connection.{keyword}", f"{keyword} {message}", hint=hint or consequence, origin=sourced.origin
    )


def _shown(file: str | Path) -> str:
    return redact_value("connection.sslcert", str(file))
