"""Connection strings, read, written and completed as libpq does."""

from __future__ import annotations

import re
from collections.abc import Mapping

_BLANKS = r"[ \t\n\v\f\r]*"
_INTEGER = _BLANKS + r"([+-]?)0*([0-9]{1,10})" + _BLANKS
_UNQUOTED = r"(?a)[\w./:@,+-]+"
_SEPARATOR_OR_QUOTATION = r'("[]=:/]")|"(?s:.*)"'
_UNKNOWN_KEYWORD = r'(?:invalid connection option|invalid URI query parameter:) "([\w +-]+)"'


class InvalidConninfo(ValueError):
    """libpq cannot read a connection string; the message leaves out what libpq quotes of the string.

    If the reason is an unknown keyword, it is `unknown`: it may be part of a password.
    """

    def __init__(self, message: str) -> None:
        message = message.strip()
        found = re.fullmatch(_UNKNOWN_KEYWORD, message)
        self.unknown = found and found[1]
        super().__init__(re.sub(_SEPARATOR_OR_QUOTATION, lambda found: found[1] or "...", message))


def parse(conninfo: str) -> dict[str, str]:
    """Return the keywords that a URI or keyword/value string sets; an empty value counts as set.

    `InvalidConninfo` is raised if libpq cannot read it.
    """
    from psycopg import OperationalError, pq

    if reason := unencodable(conninfo):
        raise InvalidConninfo(reason)
    try:
        rows = pq.Conninfo.parse(encode(conninfo))
    except OperationalError as error:
        raise InvalidConninfo(str(error)) from None
    return {row.keyword.decode(): decode(row.val) for row in rows if row.val is not None}


def conninfo(parameters: Mapping[str, str]) -> str:
    """Return parameters as a keyword/value string, quoted as libpq reads it."""
    return " ".join(f"{keyword}={_quoted(value)}" for keyword, value in parameters.items())


def start_connection(parameters: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Start a connection that fails at once: libpq rejects the parameters, or they reach no server.

    Returned are the parameters as libpq completes them, unset ones left out, and its error message.
    """
    from psycopg import pq

    connection = pq.PGconn.connect_start(encode(conninfo(parameters)))
    try:
        completed = {row.keyword.decode(): decode(row.val) for row in connection.info if row.val}
        return completed, connection.error_message.decode("utf-8", "replace").strip()
    finally:
        connection.finish()


def unencodable(text: str) -> str | None:
    """Return why a text cannot be passed to libpq; None if it can."""
    if "\0" in text:
        return "it contains a NUL character"
    try:
        encode(text)
    except UnicodeEncodeError:
        return "it contains half of a character (a lone surrogate)"
    return None


def integer(text: str) -> int | None:
    """Read an integer as libpq does, with blanks around it and a sign; None if libpq rejects it.

    The same as ``pqParseIntParam`` in libpq's ``fe-connect.c``. libpq reads `connect_timeout` only while
    it waits for a server, and `tcp_user_timeout` last of all, so that it cannot validate them for us.
    """
    match = re.fullmatch(_INTEGER, text)
    number = int(match[1] + match[2]) if match else None
    return number if number is not None and -(2**31) <= number < 2**31 else None


def encode(text: str) -> bytes:
    """Encode a text for libpq; undecodable bytes from the environment stay as they were."""
    return text.encode("utf-8", "surrogateescape")


def decode(value: bytes) -> str:
    """Decode a text from libpq; the opposite of `encode`."""
    return value.decode("utf-8", "surrogateescape")


def _quoted(value: str) -> str:
    if re.fullmatch(_UNQUOTED, value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
