"""The files that TLS needs: root certificates, the client's certificate and its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.files import status
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.reporting.harmless import holds_contents, is_path
from procrastinate_conn.rules import security as rules
from procrastinate_conn.spec.connection import MASK

FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir")
"""The keywords of libpq that name a file or directory."""

LONGEST_PASSPHRASE = 1023
"""Bytes of a passphrase: OpenSSL's ``PEM_BUFSIZE``, less a NUL."""

DER = b"0"
"""What a key in ASN.1's binary form begins with: a sequence."""


def judge(configuration: Configuration) -> Iterator[Problem]:
    """Judge the files that were named, where TLS is possible at all.

    Parameters
    ----------
    configuration
        Its paths are relative to the working directory, and ``~`` is not expanded, as in libpq.
    """
    stated = configuration.connection.winners
    if "sslmode" in stated and stated["sslmode"].value == "disable":
        return
    usable = dict.fromkeys(FILES, False)
    for keyword in FILES:
        located = stated.get(keyword)
        if located is None or not _names_a_file(keyword, str(located.value)):
            continue
        problems = list(_judge_file(keyword, located))
        usable[keyword] = not problems
        yield from problems
    if usable["sslcert"] and _is_sent(stated):
        yield from _judge_key(stated, usable=usable["sslkey"])


def default_file(name: str) -> Path:
    """Return the file of that name where libpq looks for certificates and keys that are not named."""
    home = Path(libpq.home() or os.devnull)
    return home / name if os.name == "nt" else home / ".postgresql" / name


def _is_sent(stated: Mapping[str, Located]) -> bool:
    return "sslcertmode" not in stated or stated["sslcertmode"].value != "disable"


def _names_a_file(keyword: str, value: str) -> bool:
    """Tell a file from `system` authorities, an OpenSSL engine's key, and nothing."""
    if keyword == "sslrootcert" and value == "system":
        return False
    return bool(value) and not (keyword == "sslkey" and os.name != "nt" and ":" in value)


def _judge_file(keyword: str, located: Located) -> Iterator[Problem]:
    value = str(located.value)
    if holds_contents(value):
        yield rules.UNUSABLE_TLS_FILE(
            f"connection.{keyword}",
            f"{keyword} holds the {_CONTENTS[keyword]} itself, and libpq takes it for the name of a file",
            hint="write it into a file, and name that",
            origin=located.origin,
        )
        return
    path, found = Path(value), status(value)
    is_file = keyword != "sslcrldir"
    if found is None:
        tilde = "libpq does not expand ~; write the whole path" if value.startswith("~") else ""
        yield _unusable(keyword, located, _absence(path), tilde or _CONSEQUENCES[keyword])
    elif not (stat.S_ISREG if is_file else stat.S_ISDIR)(found.st_mode):
        wanted = "a file" if is_file else "a directory"
        yield _unusable(keyword, located, f"which is not {wanted}", f"name {wanted}")
    elif not os.access(path, os.R_OK):
        yield _unusable(keyword, located, "which this user cannot read", _CONSEQUENCES[keyword])
    elif keyword == "sslkey":
        yield from _judge_permissions(path, found, located)
    elif is_file and not _loads(lambda context: context.load_verify_locations(cafile=path)):
        yield _unusable(keyword, located, "which is not in PEM format", "libpq reads PEM files only")


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

_CONSEQUENCES = {
    "sslrootcert": "without it libpq verifies nothing, or refuses to connect",
    "sslcert": "without it libpq sends no client certificate",
    "sslkey": "without it libpq refuses to connect",
    "sslcrl": "without it libpq checks no revocations",
    "sslcrldir": "without it libpq checks no revocations",
}


def _judge_permissions(key: Path, found: os.stat_result, located: Located) -> Iterator[Problem]:
    """Judge a key as libpq's ``initialize_SSL`` does: root's may be readable for its group."""
    allowed = 0o640 if found.st_uid == 0 else 0o600
    mode = stat.S_IMODE(found.st_mode)
    if os.name == "posix" and mode & 0o077 & ~allowed:
        yield rules.EXPOSED_KEY(
            "connection.sslkey",
            f"libpq refuses the private key {_named(key)}: its mode {mode:04o} lets others at it",
            hint=f"chmod {allowed:04o} {_named(key)}",
            origin=located.origin,
        )


def _judge_key(stated: Mapping[str, Located], *, usable: bool) -> Iterator[Problem]:
    """Judge the key of a certificate that is sent: the one that was named, or libpq's default."""
    certificate, key = stated["sslcert"], stated.get("sslkey")
    if key is not None and key.value:
        if usable:
            yield from _judge_pair(certificate, key, stated.get("sslpassword"))
        return
    default = default_file("postgresql.key")
    if libpq.home() is None:
        return
    if (found := status(default)) is None:
        yield rules.UNUSABLE_TLS_FILE(
            "connection.sslcert",
            f"sslcert is stated without its key: sslkey is not, and there is no {default}",
            hint="state sslkey; libpq does not look for the key in the certificate's file",
            origin=certificate.origin,
        )
    elif not (problems := list(_judge_permissions(default, found, certificate))):
        yield from _judge_pair(certificate, replace(certificate, value=default), stated.get("sslpassword"))
    else:
        yield from problems


def _judge_pair(certificate: Located, key: Located, passphrase: Located | None) -> Iterator[Problem]:
    """Judge whether the key is the certificate's; never asks on the terminal for a passphrase."""
    import ssl

    # libpq cuts a passphrase off where OpenSSL has no more room for it.
    told = os.fsencode(str(passphrase.value))[:LONGEST_PASSPHRASE] if passphrase else b""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # how strong a key has to be is the server's affair
    try:
        context.load_cert_chain(str(certificate.value), str(key.value), password=told)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"which is not the key of {_named(certificate.value)}"
            yield _unusable("sslkey", key, reason, "name the key that belongs to it")
        else:
            yield from _judge_unloadable(key, has_passphrase=bool(told))
    except OSError:
        yield _unusable("sslkey", key, "which cannot be read", _CONSEQUENCES["sslkey"])


def _judge_unloadable(key: Located, *, has_passphrase: bool) -> Iterator[Problem]:
    """Say why a key is of no use; one in DER, which libpq takes and Python does not, is let be."""
    content = Path(str(key.value)).read_bytes()
    if content.startswith(DER):
        return
    if b"ENCRYPTED" not in content:
        yield _unusable("sslkey", key, "which holds no key that can be used", "libpq reads PEM and DER")
    elif has_passphrase:
        hint = "state the passphrase that it was encrypted with"
        yield _unusable("sslkey", key, "which sslpassword does not decrypt", hint)
    else:
        yield _unusable("sslkey", key, "which is encrypted", "state the passphrase as sslpassword")


def _loads(load: Callable[..., object]) -> bool:
    import ssl

    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except OSError:  # which ssl.SSLError is
        return False
    return True


def _unusable(keyword: str, located: Located, reason: str, hint: str) -> Problem:
    return rules.UNUSABLE_TLS_FILE(
        f"connection.{keyword}",
        f"{keyword} names {_named(located.value)}, {reason}",
        hint=hint,
        origin=located.origin,
    )


def _named(file: object) -> str:
    return str(file) if is_path(str(file)) else MASK
