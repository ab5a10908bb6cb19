"""The files that TLS needs: root certificates, the client's certificate and its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.artifacts import hint_for
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
        "PROCRASTINATE_CONN_DSN=postgresql://db1.example.com/jobs?sslmode=verify-full&sslrootcert=ca.pem",
        given="there is no file ca.pem",
    ),
)

EXPOSED_KEY = Rule(
    "PC505",
    "private key that others can read",
    "libpq does not use such a key, and does not connect.",
    "chmod 0600, or 0640 if the file belongs to root.",
    example=Example(
        "PROCRASTINATE_CONN_DSN=postgresql://db1/jobs?sslrootcert=system&sslcert=client.pem&sslkey=client.key",
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
        "PROCRASTINATE_CONN_DSN=postgresql://db1.example.com/jobs?sslmode=require&sslrootcert=ca.pem",
        given="there is no file ca.pem",
    ),
)

MAX_PATH = 1023
"""Bytes of a file's name that libpq reads: its ``MAXPGPATH``, less a NUL."""

MAX_PASSPHRASE = 1023
"""Bytes of a passphrase that OpenSSL reads: its ``PEM_BUFSIZE``, less a NUL."""

WITHOUT_DEFAULTS = "set sslcertmode=disable, or HOME to a directory of this user's"
"""What to do about a certificate in the home directory that is not meant to be used."""

_DOES_NOT_CONNECT = "without it libpq does not connect"
_NO_REVOCATIONS = "without it libpq checks no revocations"
_CONTENT = {"sslkey": "key", "sslcrl": "list of revocations", "sslcrldir": "list of revocations"}


class Fault(NamedTuple):
    """What is wrong with a file; `rule` is broken if libpq does not connect, and else `IGNORED_TLS_FILE`."""

    message: str
    hint: str = ""
    rule: Rule = UNUSABLE_TLS_FILE


_DEFAULTS = {
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
}
"""The files that libpq looks for in the home directory if none is configured."""


class TlsFiles(NamedTuple):
    """The files that libpq uses, and what is required of TLS: what libpq does without one.

    Those in the home directory have the origin of libpq's defaults.
    """

    files: Mapping[str, SourcedValue]
    sslmode: str
    sslcertmode: str

    def consequence(self, keyword: str, file: str) -> str:
        """Return what libpq does if a file is absent or unusable; see its ``initialize_SSL``."""
        absent, root = _is_absent(keyword, file), self.files.get("sslrootcert")
        # Revocations are checked only if the server is verified against a file.
        has_root = root and root.value != "system" and not _is_absent("sslrootcert", str(root.value))
        match keyword:
            case "sslrootcert" if absent and not self.sslmode.startswith("verify"):
                return "without it libpq verifies nothing"
            case "sslcert" if absent and self.sslcertmode != "require":
                return "without it libpq sends no client certificate"
            case "sslcrl":
                return _NO_REVOCATIONS
            # libpq accepts an unusable directory beside a list; else a list is required that is nowhere.
            case "sslcrldir" if not has_root or "sslcrl" in self.files:
                return _NO_REVOCATIONS
        is_tls_optional = self.sslmode in ("allow", "prefer") and self.sslcertmode != "require"
        return "without it libpq connects without TLS" if is_tls_optional else _DOES_NOT_CONNECT

    def problem(self, keyword: str, sourced: SourcedValue, fault: Fault) -> Problem:
        """Make the problem of a file; without a hint, the consequence takes its place."""
        consequence = self.consequence(keyword, str(sourced.value))
        rule = fault.rule if consequence == _DOES_NOT_CONNECT else IGNORED_TLS_FILE
        hint, origin = fault.hint or consequence, _origin(sourced)
        if origin is None and keyword == "sslcert":
            hint = f"{consequence}; {WITHOUT_DEFAULTS}"
        return rule(f"connection.{keyword}", fault.message, hint=hint, origin=origin)


def check(configuration: Configuration) -> Iterator[Problem]:
    """Check the configured files: as for libpq, ``~`` is not expanded."""
    effective, spec = configuration.connection.effective, configuration.spec
    values = as_texts(effective)
    mode = (spec and spec.sslmode) or values.get("sslmode") or "prefer"
    uses_no_tls = mode == "disable" or values.get("gssencmode") == "require"
    if uses_no_tls or all(host.is_socket for host in hosts(values)):
        return
    configured = {keyword: sourced for keyword, sourced in effective.items() if sourced.value}
    tls = TlsFiles(dict(_default_files(configured)) | configured, mode, values.get("sslcertmode") or "allow")
    uses_system = values.get("sslrootcert") == "system"
    for keyword in ("sslcrl", "sslcrldir") if uses_system else ("sslrootcert", "sslcrl", "sslcrldir"):
        sourced = tls.files.get(keyword)
        if sourced and (fault := _file_fault(keyword, sourced)):
            yield tls.problem(keyword, sourced, fault)
    if uses_system and (file := os.environ.get("SSL_CERT_FILE")):
        variable = SourcedValue(file, Origin("environment", "SSL_CERT_FILE"))
        if fault := _file_fault("SSL_CERT_FILE", variable):
            hint = fault.hint or "name the file of the system's certificates: sslrootcert=system reads it"
            yield IGNORED_TLS_FILE("connection.sslrootcert", fault.message, hint=hint, origin=variable.origin)
    if tls.sslcertmode != "disable":
        yield from _check_client(tls, effective.get("sslcertmode"))


def _default_files(configured: Mapping[str, SourcedValue]) -> Iterator[tuple[str, SourcedValue]]:
    """Yield the files in the home directory that libpq finds, or cannot tell whether they exist.

    It gives up on no list of revocations, so that one counts only if it exists, for a root to go with.
    """
    if libpq.home() is None:
        return
    has_root = "sslrootcert" in configured or status(libpq.default_file("root.crt"))
    for keyword, name in _DEFAULTS.items():
        file = str(libpq.default_file(name))
        if keyword == "sslcrl":
            is_used = status(file) and has_root and "sslcrldir" not in configured
        else:
            is_used = not _is_absent(keyword, file)
        if is_used:
            yield keyword, SourcedValue(file, Origin(LIBPQ_DEFAULT.name))


def _origin(sourced: SourcedValue) -> Origin | None:
    """Return where a file is configured; None for one in the home directory."""
    return None if sourced.origin.kind.is_default else sourced.origin


def _check_client(tls: TlsFiles, sslcertmode: SourcedValue | None) -> Iterator[Problem]:
    """Check the client certificate, and its key: libpq reads the key only if there is a certificate."""
    certificate, key = tls.files.get("sslcert"), tls.files.get("sslkey")
    if certificate is None:
        missing = f"sslcert is not, and there is no {libpq.default_file(_DEFAULTS['sslcert'])}"
        if key and _origin(key):
            message = f"sslkey is set without its certificate: {missing}"
            hint = "set sslcert; libpq does not look for the certificate in the key's file"
            yield IGNORED_TLS_FILE("connection.sslkey", message, hint=hint, origin=key.origin)
        if tls.sslcertmode == "require" and sslcertmode:
            hint = "set sslcert and sslkey"
            message = f"sslcertmode=require demands a client certificate: {missing}"
            yield UNUSABLE_TLS_FILE("connection.sslcertmode", message, hint=hint, origin=sslcertmode.origin)
        return
    if fault := _file_fault("sslcert", certificate):
        yield tls.problem("sslcert", certificate, fault)
    if _is_absent("sslcert", str(certificate.value)):
        return
    if key:
        if not fault or _origin(certificate) or _origin(key):  # else the certificate's problem is enough
            yield from _check_key(tls, key, certificate, is_usable=not fault)
    elif not fault and libpq.home() is not None:
        missing = f"sslkey is not, and there is no {libpq.default_file(_DEFAULTS['sslkey'])}"
        is_set = _origin(certificate) is not None
        subject = "sslcert is set" if is_set else f"libpq finds {_redacted(str(certificate.value))}"
        hint = "set sslkey; libpq does not look for the key in the certificate's file"
        yield tls.problem("sslcert", certificate, Fault(f"{subject} without its key: {missing}", hint))


def _check_key(
    tls: TlsFiles, key: SourcedValue, certificate: SourcedValue, *, is_usable: bool
) -> Iterator[Problem]:
    """Check a key: its file, and whether it belongs to the certificate if that can be used."""
    file, passphrase = str(key.value), tls.files.get("sslpassword")
    if os.name != "nt" and ":" in file and _origin(key):  # the key is in an OpenSSL engine
        return
    fault = _file_fault("sslkey", key) or _permissions_fault(file)
    if not fault and is_usable:
        password = os.fsencode(str(passphrase.value))[:MAX_PASSPHRASE] if passphrase else b""
        fault = _key_fault(str(certificate.value), file, password)
    if fault:
        sourced = key if _origin(key) else replace(key, origin=certificate.origin)
        yield tls.problem("sslkey", sourced, fault)


def _file_fault(keyword: str, sourced: SourcedValue) -> Fault | None:
    file = str(sourced.value)
    if is_file_content(file):
        content = _CONTENT.get(keyword, "certificate")
        message = f"{keyword} is the {content} itself, and libpq takes it for the name of a file"
        return Fault(message, "write it into a file, and name that")
    subject = f"{keyword} names" if _origin(sourced) else f"libpq looks for {keyword} at"
    named = f"{subject} {_redacted(file)}, which"
    found = _status(file)
    if isinstance(found, Exception):
        hint = hint_for(file, "", sourced.origin.source)
        if file.startswith("~"):
            hint = "libpq does not expand ~; write the whole path"
        is_hidden = isinstance(found, PermissionError)
        return Fault(f"{named} {'this user cannot access' if is_hidden else 'does not exist'}", hint)
    is_type, expected = (stat.S_ISDIR, "a directory") if keyword == "sslcrldir" else (stat.S_ISREG, "a file")
    if not is_type(found.st_mode):
        return Fault(f"{named} is not {expected}", f"name {expected}")
    if not os.access(file, os.R_OK):
        return Fault(f"{named} this user cannot read")
    return None if keyword in ("sslkey", "sslcrldir") else _content_fault(named, file)


def _content_fault(named: str, file: str) -> Fault | None:
    import ssl

    with suppress(OSError):  # which ssl.SSLError is
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        return None
    with suppress(OSError):
        content = Path(file).read_bytes()
        if not content:
            return Fault(f"{named} is empty", "write the certificate into it, or name another file")
        if b"PRIVATE KEY-----" in content:
            return Fault(f"{named} holds a private key", "name the certificate; the key is sslkey")
    return Fault(f"{named} is not in PEM format", "libpq reads PEM files only")


def _is_absent(keyword: str, file: str) -> bool:
    """Return whether a file does not exist to libpq, as a root certificate does not if it cannot tell."""
    absent = (OSError, ValueError) if keyword == "sslrootcert" else (FileNotFoundError, NotADirectoryError)
    return isinstance(_status(file), absent)


def _status(file: str) -> os.stat_result | OSError | ValueError:
    """Return a file's status, or why there is none: a directory may hide its content from this user."""
    try:
        return os.stat(os.fsencode(file)[:MAX_PATH])  # noqa: PTH116 - bytes, as libpq has them
    except (OSError, ValueError) as error:
        return error


def _permissions_fault(key: str) -> Fault | None:
    """Check a key as libpq's ``initialize_SSL`` does: root's may be readable for its group."""
    found = status(key)
    if found is None or os.name != "posix":
        return None
    allowed, mode = 0o640 if found.st_uid == 0 else 0o600, stat.S_IMODE(found.st_mode)
    if not mode & 0o077 & ~allowed:
        return None
    message = f"libpq does not use the private key {_redacted(key)}: permissions {mode:04o} are too open"
    return Fault(message, f"chmod {allowed:04o} {_redacted(key)}", EXPOSED_KEY)


def _key_fault(certificate: str, key: str, password: bytes) -> Fault | None:
    """Return why a key does not belong to a certificate; the terminal is never asked for a passphrase."""
    import ssl

    named = f"sslkey names {_redacted(key)}, which"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the server decides how strong a key has to be
    try:
        context.load_cert_chain(certificate, key, password=password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"{named} is not the key of {_redacted(certificate)}"
            return Fault(message, "name the key that belongs to it")
        return _unloadable_fault(named, Path(key).read_bytes(), password)
    except OSError:
        return Fault(f"{named} cannot be read")
    return None


def _unloadable_fault(named: str, content: bytes, password: bytes) -> Fault | None:
    if content.startswith(b"0"):  # an ASN.1 sequence: libpq can load DER, and Python cannot
        return None
    if b"BEGIN CERTIFICATE" in content and b"PRIVATE KEY" not in content:
        return Fault(f"{named} holds a certificate", "name the key; the certificate is sslcert")
    if b"ENCRYPTED" not in content:
        return Fault(f"{named} contains no valid key", "libpq reads PEM and DER")
    if password:
        return Fault(f"{named} sslpassword does not decrypt", "set the passphrase that it was encrypted with")
    return Fault(f"{named} is encrypted", "set the passphrase as sslpassword")


def _redacted(file: str) -> str:
    return redact_value("connection.sslcert", file)
