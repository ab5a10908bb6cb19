"""Files by a configured name: no name raises an exception."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path


def expanded(file: str | Path) -> Path:
    """Return a path with ``~`` as the home directory, unless its user does not exist."""
    try:
        return Path(os.path.expanduser(file))  # noqa: PTH111 - pathlib's raises for ~nobody
    except ValueError:  # a NUL
        return Path(file)


def status(file: str | Path) -> os.stat_result | None:
    """Return the status of a file; None if it does not exist or is not accessible."""
    try:
        return os.stat(file)  # noqa: PTH116 - pathlib's differs from version to version in what it raises
    except (OSError, ValueError):
        return None


def is_plain_file(file: str | Path) -> bool:
    """Return whether there is a plain file of that name."""
    found = status(file)
    return found is not None and stat.S_ISREG(found.st_mode)


def misread_encoding(content: bytes) -> str:
    """Return how a file is encoded that libpq does not read as it is meant; empty if it does."""
    if content.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark (U+FEFF), which libpq does not skip"
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:2]
    return "is in UTF-16, which libpq does not read" if is_utf16 else ""


def unreadable(error: OSError | ValueError | LookupError) -> str:
    """Return why a file cannot be read, without its content."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not {'UTF-8' if error.encoding == 'utf-8' else error.encoding}"
    if isinstance(error, LookupError):
        return "there is no such encoding"
    return getattr(error, "strerror", None) or "that is not the name of a file"


def remedy(error: OSError | ValueError | LookupError, default: str) -> str:
    """Return what to do about a file that cannot be read; `default` if the error does not say."""
    match error:
        case UnicodeDecodeError():
            return "save it as UTF-8"
        case IsADirectoryError():
            return "it is a directory: name a file"
        case PermissionError():
            return "let this process read it"
        case _:
            return default
