"""libpq's password file: the line for a login; its password only for a driver that does not read it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from procrastinate_conn import libpq
from procrastinate_conn.artifacts import Artifact, as_seen, find_artifact, find_deceptive
from procrastinate_conn.files import is_plain_file, misread_encoding, status
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Example, Problem, Rule

PASSWORD_FILE_IGNORED = Rule(
    "PC209",
    "password file that libpq ignores",
    "libpq then sends no password, and the server rejects the connection.",
    "Make it a plain file that only its owner can read: chmod 0600.",
    severity="warning",
    example=Example("PGPASSFILE=pgpass", files={"pgpass": "localhost:5432:jobs:app:...\n"}),
)

Login = tuple[str, str, str, str]
"""Host, port, database and user: the fields of a line before the password."""


def default_file() -> str | None:
    """Return the file that libpq reads by default; None if there is no home directory."""
    home = libpq.home()
    return home and f"{home}/{'pgpass.conf' if os.name == 'nt' else '.pgpass'}"


def find_line(file: Path, login: Login) -> Origin | None:
    """Return the line whose password libpq will send, if there is one."""
    found = _first_line(file, login)
    return found[0] if found else None


def find_password(file: Path, login: Login) -> str | None:
    """Return the password that libpq would send; None if the file has none for the login."""
    found = _first_line(file, login)
    # It ends at a colon without a backslash before it.
    password = re.match(r"(?s)(?:\\.|[^:])*", found[1]) if found else None
    return re.sub(r"(?s)\\(.)", r"\1", password[0]) if password else None


def find_password_artifact(file: Path, login: Login) -> tuple[Origin, Artifact] | None:
    """Return that line, and what its password has that does not belong to it."""
    if (found := _first_line(file, login)) is None:
        return None
    origin, password = found
    artifact = find_artifact(password, "service-file", secret=True)
    if "\\" in re.sub(r"\\[\\:]", "", password):
        artifact = Artifact("a backslash, which libpq drops", r"write \\ for a backslash in a password")
    return (origin, artifact) if artifact else None


def _first_line(file: Path, login: Login) -> tuple[Origin, str] | None:
    """Return the line for a login that libpq takes, and its password as written."""
    for origin, line in _lines(file):
        if not line.startswith("#") and (password := _after_login(line, login)) is not None:
            return origin, password
    return None


def find_misread_encoding(file: Path) -> str:
    """Return how a file that libpq reads is encoded that libpq does not read; empty if it reads it."""
    return next((misread_encoding(os.fsencode(line)) for _, line in _lines(file)), "")


def find_short_line(file: Path) -> Origin | None:
    """Return the first line with too few fields; one without a colon may be a comment after a blank."""
    lines = ((origin, line) for origin, line in _lines(file) if not line.lstrip().startswith("#"))
    return next((origin for origin, line in lines if 0 < line.count(":") < len(get_args(Login))), None)


def find_deceptive_login(file: Path, login: Login) -> tuple[Origin, Artifact] | None:
    """Return the line that would be for a login if it were what it looks like, and what it has instead."""
    for origin, line in _lines(file):
        deceptive = find_deceptive(line)
        if deceptive and _after_login(as_seen(line), login) is not None:
            return origin, deceptive
    return None


def validate_file(file: Path, origin: Origin | None) -> Iterator[Problem]:
    """Report why libpq ignores a password file, where it is named; one that does not exist is valid."""
    found = status(file)
    if found is None or str(file) == os.devnull:  # which stands for no password file
        return
    mode = found.st_mode
    if not stat.S_ISREG(mode):
        reason, hint = "it is not a plain file", "name a plain file"
    elif os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        reason, hint = f"permissions {stat.S_IMODE(mode):04o} are too open", f"chmod 0600 {file}"
    elif not os.access(file, os.R_OK):
        reason, hint = "this user may not read it", "make the user that connects its owner"
    else:
        return
    yield PASSWORD_FILE_IGNORED(
        "connection.passfile",
        f"libpq ignores the password file {file}: {reason}",
        hint=hint,
        origin=origin or Origin("passfile", None, str(file)),
    )


def _lines(file: Path) -> list[tuple[Origin, str]]:
    if not is_plain_file(file) or any(validate_file(file, None)):
        return []
    lines = enumerate(file.read_bytes().split(b"\n"), start=1)
    return [(Origin("passfile", None, str(file), n), os.fsdecode(line).rstrip("\r")) for n, line in lines]


def _after_login(line: str, login: Login) -> str | None:
    """Return the password of a line for a login, as ``passwordFromFile`` in ``fe-connect.c`` does.

    Each field is ``*`` or the text, in which a backslash before a character is skipped; a colon needs none.
    """
    fields = ("".join(rf"\\?+{re.escape(character)}" for character in field) for field in login)
    found = re.match("".join(rf"(?>\*:|{field}:)" for field in fields), line)
    return line[found.end() :] if found else None
