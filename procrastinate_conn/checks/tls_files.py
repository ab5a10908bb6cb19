"""The files that TLS needs: root certificates, the client's certificate and its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection import validation as texts
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.files import status
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import MASK, is_file_content, is_file_name
from procrastinate_conn.rules import Example, Rule

UNUSABLE_TLS_FILE = Rule(
    "PC504",
    "certificate or key that cannot be used",
    "libpq refuses to connect.",
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
    "private key that libpq refuses for its permissions",
    "libpq does not use a key that others can read, and refuses to connect.",
    "chmod 0600, or 0640 where the file belongs to root.",
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
    "certificate or key that libpq goes on without",
    "libpq says nothing, and connects without what the file was named for: no verification, no client"
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


LONGEST_PATH = 1023
"""Bytes of a file's name that libpq reads: its ``MAXPGPATH``, less a NUL."""

LONGEST_PASSPHRASE = 1023
"""Bytes of a passphrase: OpenSSL's ``PEM_BUFSIZE``, less a NUL."""

DER = b"0"
"""What a key in ASN.1's binary form begins with: a sequence."""

REFUSES = "without it libpq refuses to connect"
IN_CLEAR = "without it libpq connects without TLS"
GOES_ON = {
    "sslrootcert": "without it libpq verifies nothing",
    "sslcert": "without it libpq sends no client certificate",
    "sslcrl": "without it libpq checks no revocations",
    "sslcrldir": "without it libpq checks no revocations",
}


class TlsRequirements(NamedTuple):
    """What is asked of TLS: on it depends what libpq does without a file.

    Parameters
    ----------
    mode
        What counts as sslmode.
    certificate
        What counts as sslcertmode.
    has_root
        Whether the server is verified against a file, for which alone revocations are looked for.
    has_list
        Whether a list of revocations is named: libpq takes a directory of them only together with that.
    """

    mode: str
    certificate: str
    has_root: bool
    has_list: bool

    def without(self, keyword: str, *, absent: bool = False) -> str:
        """Return what libpq does where a file is of no use, or not there; see its ``initialize_SSL``."""
        goes_on = {
            "sslrootcert": absent and not self.mode.startswith("verify"),
            "sslcert": absent and self.certificate != "require",
            "sslcrl": True,
            "sslcrldir": not self.has_root or self.has_list,  # else it demands a list that is nowhere
        }
        if goes_on.get(keyword):
            return GOES_ON[keyword]
        may_do_without_tls = self.mode in ("allow", "prefer") and self.certificate != "require"
        return IN_CLEAR if may_do_without_tls else REFUSES


def check(configuration: Configuration) -> Iterator[Problem]:
    """Judge the files that were named, where TLS is possible at all.

    Parameters
    ----------
    configuration
        Its paths are relative to the working directory, and ``~`` is not expanded, as in libpq.
    """
    stated, spec = configuration.connection.effective, configuration.spec
    values = texts.text(stated)
    mode = (spec and spec.sslmode) or values.get("sslmode") or "prefer"
    is_local = all(host.is_socket for host in hosts(values))
    if is_local or mode == "disable" or values.get("gssencmode") == "require":
        return
    root = values.get("sslrootcert") or str(default_file("root.crt"))
    has_root = root != "system" and not _is_absent("sslrootcert", root)
    demand = TlsRequirements(
        mode, values.get("sslcertmode") or "allow", has_root, has_list=bool(values.get("sslcrl"))
    )
    for keyword in ("sslrootcert", "sslcrl", "sslcrldir"):
        sourced = _stated(keyword, stated)
        if sourced and (keyword, sourced.value) != ("sslrootcert", "system"):
            yield from _check_file(keyword, sourced, demand)
    if demand.certificate != "disable":
        yield from _check_client(stated, demand)


def default_file(name: str) -> Path:
    """Return the file of that name where libpq looks for certificates and keys that are not named."""
    home = Path(libpq.home() or os.devnull)
    return home / name if os.name == "nt" else home / ".postgresql" / name


def _stated(keyword: str, stated: Mapping[str, SourcedValue]) -> SourcedValue | None:
    sourced = stated.get(keyword)
    return sourced if sourced is not None and sourced.value else None


def _check_client(stated: Mapping[str, SourcedValue], demand: TlsRequirements) -> Iterator[Problem]:
    """Judge the certificate that is sent, and the key that libpq looks at only where there is one."""
    named, key = _stated("sslcert", stated), _stated("sslkey", stated)
    passphrase = stated.get("sslpassword")
    certificate = named or SourcedValue(str(default_file("postgresql.crt")), Origin("libpq-default"))
    of_the_certificate = list(_check_file("sslcert", named, demand)) if named else []
    yield from of_the_certificate
    if _is_absent("sslcert", str(certificate.value)):
        if key and not named:
            yield _without_effect(key)
    elif key is None:
        if named and not of_the_certificate:
            yield from _check_default_key(named, passphrase, demand)
    elif not _is_of_an_engine(key):
        of_the_key = list(_check_file("sslkey", key, demand))
        yield from of_the_key
        if not of_the_certificate and not of_the_key:
            yield from _check_pair(certificate, key, passphrase, demand)


def _is_of_an_engine(key: SourcedValue) -> bool:
    """Tell an OpenSSL engine's key from a file."""
    return os.name != "nt" and ":" in str(key.value)


def _without_effect(key: SourcedValue) -> Problem:
    default = default_file("postgresql.crt")
    return IGNORED_TLS_FILE(
        "connection.sslkey",
        f"sslkey is stated without its certificate: sslcert is not, and there is no {default}",
        hint="state sslcert; libpq does not look for the certificate in the key's file",
        origin=key.origin,
    )


def _check_file(keyword: str, sourced: SourcedValue, demand: TlsRequirements) -> Iterator[Problem]:
    value = str(sourced.value)
    absent = _is_absent(keyword, value)
    does = demand.without(keyword, absent=absent)
    if is_file_content(value):
        message = (
            f"{keyword} holds the {_CONTENTS[keyword]} itself, and libpq takes it for the name of a file"
        )
        yield _finding(keyword, sourced, message, does, "write it into a file, and name that")
        return
    path, found = Path(value), status(value)
    is_file = keyword != "sslcrldir"
    if found is None:
        tilde = "libpq does not expand ~; write the whole path" if value.startswith("~") else ""
        yield _unusable(keyword, sourced, _absence(path), does, tilde)
    elif not (stat.S_ISREG if is_file else stat.S_ISDIR)(found.st_mode):
        wanted = "a file" if is_file else "a directory"
        yield _unusable(keyword, sourced, f"which is not {wanted}", does, f"name {wanted}")
    elif not os.access(path, os.R_OK):
        yield _unusable(keyword, sourced, "which this user cannot read", does)
    elif keyword == "sslkey":
        yield from _check_permissions(path, found, sourced, does)
    elif is_file and not _loads(lambda context: context.load_verify_locations(cafile=path)):
        yield _unusable(keyword, sourced, "which is not in PEM format", does, "libpq reads PEM files only")


def _is_absent(keyword: str, file: str) -> bool:
    """Tell whether libpq takes a file for one that is not there: a root certificate where it cannot tell."""
    try:
        os.stat(os.fsencode(file)[:LONGEST_PATH])  # noqa: PTH116 - bytes, as libpq has them
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return keyword == "sslrootcert"
    return False


def _absence(path: Path) -> str:
    """Say why a file is not found; the system hides what is in a directory that may not be entered."""
    try:
        path.stat()
    except PermissionError:
        return "which this user cannot look at"
    except (OSError, ValueError):
        pass
    return "which does not exist"


_CONTENTS = {
    "sslrootcert": "certificate",
    "sslcert": "certificate",
    "sslkey": "key",
    "sslcrl": "list of revocations",
    "sslcrldir": "list of revocations",
}


def _check_permissions(
    key: Path, found: os.stat_result, sourced: SourcedValue, does: str
) -> Iterator[Problem]:
    """Judge a key as libpq's ``initialize_SSL`` does: root's may be readable for its group."""
    allowed = 0o640 if found.st_uid == 0 else 0o600
    mode = stat.S_IMODE(found.st_mode)
    if os.name == "posix" and mode & 0o077 & ~allowed:
        rule = EXPOSED_KEY if does == REFUSES else IGNORED_TLS_FILE
        yield rule(
            "connection.sslkey",
            f"libpq refuses the private key {_named(key)}: its mode {mode:04o} lets others at it",
            hint=f"chmod {allowed:04o} {_named(key)}",
            origin=sourced.origin,
        )


def _check_default_key(
    certificate: SourcedValue, passphrase: SourcedValue | None, demand: TlsRequirements
) -> Iterator[Problem]:
    """Judge the key that libpq takes for a certificate that was named without one."""
    default = default_file("postgresql.key")
    if libpq.home() is None:
        return
    does = demand.without("sslkey")
    if (found := status(default)) is None:
        message = f"sslcert is stated without its key: sslkey is not, and there is no {default}"
        hint = "state sslkey; libpq does not look for the key in the certificate's file"
        yield _finding("sslcert", certificate, message, does, hint)
    elif not (problems := list(_check_permissions(default, found, certificate, does))):
        yield from _check_pair(certificate, replace(certificate, value=default), passphrase, demand)
    else:
        yield from problems


def _check_pair(
    certificate: SourcedValue, key: SourcedValue, passphrase: SourcedValue | None, demand: TlsRequirements
) -> Iterator[Problem]:
    """Judge whether the key is the certificate's; never asks on the terminal for a passphrase."""
    import ssl

    # libpq cuts a passphrase off where OpenSSL has no more room for it.
    told = os.fsencode(str(passphrase.value))[:LONGEST_PASSPHRASE] if passphrase else b""
    does = demand.without("sslkey")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # how strong a key has to be is the server's affair
    try:
        context.load_cert_chain(str(certificate.value), str(key.value), password=told)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"which is not the key of {_named(certificate.value)}"
            yield _unusable("sslkey", key, reason, does, "name the key that belongs to it")
        else:
            yield from _check_unloadable(key, does, has_passphrase=bool(told))
    except OSError:
        yield _unusable("sslkey", key, "which cannot be read", does)


def _check_unloadable(key: SourcedValue, does: str, *, has_passphrase: bool) -> Iterator[Problem]:
    """Say why a key is of no use; one in DER, which libpq takes and Python does not, is let be."""
    content = Path(str(key.value)).read_bytes()
    if content.startswith(DER):
        return
    if b"ENCRYPTED" not in content:
        yield _unusable("sslkey", key, "which holds no key that can be used", does, "libpq reads PEM and DER")
    elif has_passphrase:
        hint = "state the passphrase that it was encrypted with"
        yield _unusable("sslkey", key, "which sslpassword does not decrypt", does, hint)
    else:
        yield _unusable("sslkey", key, "which is encrypted", does, "state the passphrase as sslpassword")


def _loads(load: Callable[..., object]) -> bool:
    import ssl

    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except OSError:  # which ssl.SSLError is
        return False
    return True


def _unusable(keyword: str, sourced: SourcedValue, reason: str, does: str, hint: str = "") -> Problem:
    return _finding(keyword, sourced, f"{keyword} names {_named(sourced.value)}, {reason}", does, hint)


def _finding(keyword: str, sourced: SourcedValue, message: str, does: str, hint: str) -> Problem:
    """Make a finding, with what libpq does for a hint where there is no other."""
    rule = UNUSABLE_TLS_FILE if does == REFUSES else IGNORED_TLS_FILE
    return rule(f"connection.{keyword}", message, hint=hint or does, origin=sourced.origin)


def _named(file: object) -> str:
    return str(file) if is_file_name(str(file)) else MASK
