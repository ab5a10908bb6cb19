"""The password file: whether libpq will find a password in it, never the password itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from procrastinate_conn import libpq
from procrastinate_conn.files import is_plain_file, status
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules

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
        fields = _split(line)
        if len(fields) > len(login) and all(_matches(f, v) for f, v in zip(fields, login, strict=False)):
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
    yield rules.PASSWORD_FILE_IGNORED(
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


def _split(line: str) -> list[str]:
    r"""Split at the colons that no backslash escapes; a comment has no fields."""
    fields, escaped = [""], False
    for character in "" if line.startswith("#") else line:
        if character == ":" and not escaped:
            fields.append("")
        else:
            fields[-1] += character
        escaped = character == "\\" and not escaped
    return fields if len(fields) > 1 else []


def _matches(field: str, value: str) -> bool:
    return field == "*" or _unescaped(field) == value


def _unescaped(field: str) -> str:
    characters = iter(field)
    return "".join(next(characters, "\\") if c == "\\" else c for c in characters)
