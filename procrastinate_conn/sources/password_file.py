"""The password file: whether libpq will find a password in it, never the password itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from procrastinate_conn import libpq
from procrastinate_conn.files import is_plain_file, status
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule

PASSWORD_FILE_IGNORED = Rule(
    "PC209",
    "password file that libpq ignores",
    "The server is then asked without a password, and refuses.",
    "Make it a plain file that only its owner can read: chmod 0600.",
    severity="warning",
    example=Example("PGPASSFILE=pgpass", files={"pgpass": "localhost:5432:jobs:app:...\n"}),
)


Login = tuple[str, str, str, str]
"""Host, port, database and user, as the fields of a line are matched against."""


def default_file() -> str | None:
    """Return the file that libpq looks for where none is named; None where there is no home directory."""
    home = libpq.home()
    return home and f"{home}/{'pgpass.conf' if os.name == 'nt' else '.pgpass'}"


def find_line(file: Path, login: Login) -> Origin | None:
    """Return the line whose password libpq will send, if there is one.

    Parameters
    ----------
    file
        The password file.
    login
        Host, port, database and user of the connection.
    """
    for number, line in enumerate(_lines(file), start=1):
        if not line.startswith("#") and _matches(line, login):
            return Origin("passfile", None, str(file), number)
    return None


def find_short_line(file: Path) -> Origin | None:
    """Return the first line that is about no login at all, for want of fields before the password.

    Parameters
    ----------
    file
        The password file. A line without a colon may be anything, such as a comment behind a blank.
    """
    for number, line in enumerate(_lines(file), start=1):
        if not line.lstrip().startswith("#") and 0 < line.count(":") < len(get_args(Login)):
            return Origin("passfile", None, str(file), number)
    return None


def judge(file: Path, origin: Origin | None) -> Iterator[Problem]:
    """Say why libpq ignores a password file that is there.

    Parameters
    ----------
    file
        The password file; one that is absent is in order for libpq.
    origin
        Where the file is named.
    """
    found = status(file)
    if found is None or str(file) == os.devnull:  # which says that there is to be none
        return
    mode = found.st_mode
    if not stat.S_ISREG(mode):
        reason, hint = "it is not a plain file", "name a plain file"
    elif os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        reason, hint = f"its mode {stat.S_IMODE(mode):04o} lets others at it", f"chmod 0600 {file}"
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


def is_usable(file: Path) -> bool:
    """Tell whether libpq reads the file at all."""
    return is_plain_file(file) and not any(judge(file, None))


def _lines(file: Path) -> list[str]:
    if not is_usable(file):
        return []
    return [os.fsdecode(line).rstrip("\r") for line in file.read_bytes().split(b"\n")]


def _matches(line: str, login: Login) -> bool:
    """Tell whether a line is about a login, as ``passwordFromFile`` in libpq's ``fe-connect.c`` does."""
    rest: str | None = line
    for wanted in login:
        rest = None if rest is None else _behind(rest, wanted)
    return rest is not None


def _behind(line: str, wanted: str) -> str | None:
    """Return what follows a field that is ``*`` or the wanted text; None if it is another field.

    The line is read along with the wanted text, so that a colon that is wanted needs no backslash.
    """
    if line.startswith("*:"):
        return line[2:]
    at = 0
    for character in wanted:
        at += line[at : at + 1] == "\\"
        if line[at : at + 1] != character:
            return None
        at += 1
    return line[at + 1 :] if line[at : at + 1] == ":" else None
