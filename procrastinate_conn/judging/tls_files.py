"""The files that TLS needs: root certificates, the client's certificate and its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import security as rules

FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir")
"""The keywords of libpq that name a file or directory."""


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
    found = dict.fromkeys(FILES, False)
    for keyword in FILES:
        located = stated.get(keyword)
        if located is None or not _names_a_file(keyword, str(located.value)):
            continue
        problems = list(_judge_file(keyword, located))
        found[keyword] = not problems
        yield from problems
    if found["sslcert"] and found["sslkey"]:
        yield from _judge_pair(stated["sslcert"], stated["sslkey"], stated.get("sslpassword"))


def _names_a_file(keyword: str, value: str) -> bool:
    """Tell a file from `system` authorities, an OpenSSL engine's key, and nothing."""
    if keyword == "sslrootcert" and value == "system":
        return False
    return bool(value) and not (keyword == "sslkey" and os.name != "nt" and ":" in value)


def _judge_file(keyword: str, located: Located) -> Iterator[Problem]:
    path = Path(str(located.value))
    is_file = keyword != "sslcrldir"
    if not path.exists():
        tilde = "libpq does not expand ~; write the whole path" if str(path).startswith("~") else ""
        yield _unusable(keyword, located, "which does not exist", tilde or _CONSEQUENCES[keyword])
    elif path.is_file() != is_file:
        wanted = "a file" if is_file else "a directory"
        yield _unusable(keyword, located, f"which is not {wanted}", f"name {wanted}")
    elif not os.access(path, os.R_OK):
        yield _unusable(keyword, located, "which this user cannot read", _CONSEQUENCES[keyword])
    elif keyword == "sslkey":
        yield from _judge_permissions(path, located)
    elif is_file and not _loads(lambda context: context.load_verify_locations(cafile=path)):
        yield _unusable(keyword, located, "which is not in PEM format", "libpq reads PEM files only")


_CONSEQUENCES = {
    "sslrootcert": "without it libpq verifies nothing, or refuses to connect",
    "sslcert": "without it libpq sends no client certificate",
    "sslkey": "without it libpq refuses to connect",
    "sslcrl": "without it libpq checks no revocations",
    "sslcrldir": "without it libpq checks no revocations",
}


def _judge_permissions(key: Path, located: Located) -> Iterator[Problem]:
    """Judge a key as libpq's ``initialize_SSL`` does: root's may be readable for its group."""
    status = key.stat()
    allowed = 0o640 if status.st_uid == 0 else 0o600
    mode = stat.S_IMODE(status.st_mode)
    if os.name == "posix" and mode & 0o077 & ~allowed:
        yield rules.EXPOSED_KEY(
            "connection.sslkey",
            f"libpq refuses the private key {key}: its mode {mode:04o} lets others at it",
            hint=f"chmod {allowed:04o} {key}",
            origin=located.origin,
        )


def _judge_pair(certificate: Located, key: Located, passphrase: Located | None) -> Iterator[Problem]:
    """Judge whether the key is the certificate's; never asks on the terminal for a passphrase."""
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            str(certificate.value), str(key.value), password=str(passphrase.value) if passphrase else ""
        )
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield _unusable(
                "sslkey",
                key,
                f"which is not the key of {certificate.value}",
                "name the key that belongs to it",
            )


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
        f"{keyword} names {located.value}, {reason}",
        hint=hint,
        origin=located.origin,
    )
