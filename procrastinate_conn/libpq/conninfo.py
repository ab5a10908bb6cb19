"""Connection strings, read and written as libpq does."""

from __future__ import annotations

import re
from collections.abc import Mapping


class InvalidConninfo(ValueError):
    """libpq cannot read a connection string.

    Parameters
    ----------
    message
        libpq's, with what it quotes of the string.

    Attributes
    ----------
    unknown : str or None
        The keyword that libpq does not know, if that is the reason; it may be a piece of a password, and
        the message is without it.
    """

    def __init__(self, message: str) -> None:
        message = message.strip()
        found = _UNKNOWN.fullmatch(message)
        self.unknown = found and found[1]
        super().__init__(_QUOTED.sub(lambda match: match[0] if match[0] in _SIGNS else "...", message))


def parse(conninfo: str) -> dict[str, str]:
    """Read a URI or a keyword/value string as libpq does.

    Returns
    -------
    dict
        Keyword to value, of the keywords that the string states; an empty value counts as stated.

    Raises
    ------
    InvalidConninfo
        If libpq cannot read it.
    """
    from psycopg import OperationalError, pq

    if reason := unencodable(conninfo):
        raise InvalidConninfo(reason)
    try:
        rows = pq.Conninfo.parse(encode(conninfo))
    except OperationalError as error:
        raise InvalidConninfo(str(error)) from None
    return {row.keyword.decode(): decode(row.val) for row in rows if row.val is not None}


def unencodable(text: str) -> str | None:
    """Say why libpq cannot be told a text at all; None if it can be."""
    if "\0" in text:
        return "it contains a NUL character"
    try:
        encode(text)
    except UnicodeEncodeError:
        return "it contains half of a character (a lone surrogate)"
    return None


def conninfo(parameters: Mapping[str, str]) -> str:
    """Write parameters as a keyword/value string, quoted as libpq reads it."""
    return " ".join(f"{keyword}={_quoted(value)}" for keyword, value in parameters.items())


def integer(text: str) -> int | None:
    """Read an integer as libpq does, with blanks around it and a sign; None if libpq refuses it.

    The same as ``pqParseIntParam`` in libpq's ``fe-connect.c``. libpq reads `connect_timeout` only while
    it waits for a server, and `tcp_user_timeout` last of all, so that it cannot be asked about them.
    """
    match = _INTEGER.fullmatch(text)
    number = int(match[1] + match[2]) if match else None
    return number if number is not None and -(2**31) <= number < 2**31 else None


def encode(text: str) -> bytes:
    """Return a text as libpq gets it; undecodable bytes from the environment are what they were."""
    return text.encode("utf-8", "surrogateescape")


def decode(value: bytes) -> str:
    """Return a text from libpq; the opposite of `encode`."""
    return value.decode("utf-8", "surrogateescape")


_BLANKS = r"[ \t\n\v\f\r]*"
_INTEGER = re.compile(_BLANKS + r"([+-]?)0*([0-9]{1,10})" + _BLANKS)
_PLAIN = re.compile(r"[\w./:@,+-]+", re.ASCII)
_SIGNS = ('"]"', '"="', '":"', '"/"')
_QUOTED = re.compile(f"{'|'.join(map(re.escape, _SIGNS))}" + r'|"(?s:.*)"')
_UNKNOWN = re.compile(r'(?:invalid connection option|invalid URI query parameter:) "(\w+)"')


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
