"""Questions about files that somebody named, answered without an exception whatever the name is."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path


def expanded(file: str | Path) -> Path:
    """Return a path with ``~`` as the home directory; one of a user who does not exist stays as it is."""
    try:
        return Path(os.path.expanduser(file))  # noqa: PTH111 - pathlib's raises for ~nobody
    except ValueError:  # a NUL
        return Path(file)


def status(file: str | Path) -> os.stat_result | None:
    """Return what the system tells of a file; None where there is none, or where it may not be looked at."""
    try:
        return os.stat(file)  # noqa: PTH116 - pathlib's differs from version to version in what it raises
    except (OSError, ValueError):
        return None


def is_plain_file(file: str | Path) -> bool:
    """Tell whether there is a plain file of that name."""
    found = status(file)
    return found is not None and stat.S_ISREG(found.st_mode)


_FROM_A_ROOT = re.compile(r"(~|\.{1,2}|/[\w.-]+|[A-Za-z]:)[/\\]")


def may_be_shown(name: str) -> bool:
    """Tell whether a text is surely meant as a file's name: a password may have slashes and dots in it, too.

    Sure is what leads somewhere from a root, or begins in a directory that is there, or is there itself.
    """
    directory = os.path.dirname(name).strip("/")  # noqa: PTH120 - pathlib's is never empty
    return bool(_FROM_A_ROOT.match(name) or status(name) or (directory and status(directory)))


_CONNECTION_STRING = re.compile(
    r"://|:.*@|\Apostgres(ql)?:|pass?wor?d\s*=|(\A|\s)\w+\s*=.*\s\w+\s*=", re.IGNORECASE | re.DOTALL
)


def is_connection_string(name: str) -> bool:
    """Tell whether what was given for a file's name is a URI, has a login in it, or states keywords."""
    return bool(_CONNECTION_STRING.search(name)) and not may_be_shown(name)


def unreadable(error: OSError | ValueError) -> str:
    """Say why a file cannot be read, without what the file holds."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return getattr(error, "strerror", None) or "that is no name of a file"


def remedy(error: OSError | ValueError, otherwise: str) -> str:
    """Say what to do about a file that cannot be read.

    Parameters
    ----------
    error
        Why it cannot be read.
    otherwise
        What to do where the error does not tell.
    """
    match error:
        case UnicodeDecodeError():
            return "save it as UTF-8"
        case IsADirectoryError():
            return "it is a directory: name a file"
        case PermissionError():
            return "let this process read it"
        case _:
            return otherwise
