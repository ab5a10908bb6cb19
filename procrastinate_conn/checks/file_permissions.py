"""Files with a password that every user of the machine can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.files import expanded, status
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule

EXPOSED_PASSWORD = Rule(
    "PC506",
    "password in a file that everybody can read",
    "Every user of the machine can log in to the database with it.",
    "chmod 0600, or defaultMode: 0400 for a Secret that Kubernetes mounts; or keep the password in a password"
    " file, a secrets directory or password_command.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app:...@localhost/jobs"),
)

_MOUNTED_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Directories in which container platforms mount secrets, readable for everybody in the container."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report each file with a password once, unless its source protects secrets."""
    seen: set[str] = set()
    for keyword, values in configuration.connection.configured.items():
        for sourced in values if is_secret(keyword) else ():
            file = sourced.origin.file
            if file is None or file in seen or sourced.origin.kind.protects_secrets:
                continue
            if _is_public(path := expanded(file)) and _is_literal(sourced, path):
                seen.add(file)
                yield _exposed(f"connection.{keyword}", path, sourced)
    name = configuration.settings.password_setting
    if name == "password_file":
        sourced = configuration.settings.explicit[name]
        path = expanded(str(sourced.value))
        if _is_public(path) and not any(map(path.is_relative_to, _MOUNTED_SECRETS)):
            yield _exposed(name, path, sourced)


def _exposed(setting: str, path: Path, sourced: SourcedValue) -> Problem:
    message = f"everybody on this machine can read the password in {path}"
    hint = f"chmod 0600 {path}"
    if path.with_name("..data").exists():  # as in a volume of Kubernetes, which is mounted read-only
        hint = "set defaultMode: 0400 in the volume of the Secret; unless root reads it, 0440 and fsGroup"
    return EXPOSED_PASSWORD(setting, message, hint=hint, origin=sourced.origin)


def _is_public(path: Path) -> bool:
    mode = found.st_mode if os.name == "posix" and (found := status(path)) else 0
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def _is_literal(secret: SourcedValue, path: Path) -> bool:
    """Return whether a secret is in the file itself, and not in a variable that the file refers to.

    It may be encoded, quoted or escaped, so that it is searched for only on a line with a reference.
    """
    if not secret.value:
        return False
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    line = lines[secret.origin.line - 1] if secret.origin.line and secret.origin.line <= len(lines) else b""
    return b"${" not in line or os.fsencode(str(secret.value)) in unquote_to_bytes(line)
