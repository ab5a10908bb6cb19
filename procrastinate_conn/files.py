"""Questions about files that somebody named, answered without an exception whatever the name is."""

from __future__ import annotations

import os
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
