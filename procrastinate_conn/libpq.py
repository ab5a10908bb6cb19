"""libpq, asked: its keywords, how it reads a connection string, what it makes of parameters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType

NOWHERE = "/dev/null/procrastinate-conn"
"""A socket directory that cannot exist, so that libpq judges parameters without reaching a server."""


class Malformed(ValueError):
    """libpq cannot read a connection string; the message is libpq's, less what it quotes of the string."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """One row of libpq's table of connection keywords.

    Parameters
    ----------
    name
        The keyword, as in ``host=...``.
    variable
        The environment variable that stands in for it; None where there is none.
    default
        The compiled-in default; None where there is none, or where it depends on other values.
    secret
        Whether libpq marks it as a password.
    """

    name: str
    variable: str | None
    default: str | None
    secret: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What libpq makes of a set of parameters.

    Parameters
    ----------
    info
        The value of every keyword, with libpq's defaults; unset ones are left out.
    refusal
        Why libpq would refuse them before it connects anywhere; None if it would not.
    """

    info: Mapping[str, str]
    refusal: str | None


def _pq() -> ModuleType:
    """Import psycopg's libpq wrapper, which fails where no libpq can be loaded."""
    from psycopg import pq

    return pq


def version() -> int:
    """Return the version of the loaded libpq, as ``180006`` for 18.6."""
    number: int = _pq().version()
    return number


@cache
def keywords() -> Mapping[str, Keyword]:
    """Return libpq's table of keywords, by name, in libpq's order.

    Raises
    ------
    ImportError
        If no libpq can be loaded.
    """
    return {
        row.keyword.decode(): Keyword(
            name=row.keyword.decode(),
            variable=row.envvar.decode() if row.envvar else None,
            default=None if row.compiled is None else row.compiled.decode(),
            secret=row.dispchar == b"*",
        )
        for row in _pq().Conninfo.get_defaults()
    }


def parse(conninfo: str) -> dict[str, str]:
    """Read a URI or a keyword/value string as libpq does.

    Returns
    -------
    dict
        Keyword to value, of the keywords that the string states; an empty value counts as stated.

    Raises
    ------
    Malformed
        If libpq cannot read it.
    """
    from psycopg import OperationalError

    if "\0" in conninfo:
        raise Malformed("it contains a NUL character")
    try:
        rows = _pq().Conninfo.parse(_encode(conninfo))
    except OperationalError as error:
        raise Malformed(_unquoted(str(error))) from None
    return {row.keyword.decode(): _decode(row.val) for row in rows if row.val is not None}


def ask(parameters: Mapping[str, str], hosts: int = 1) -> Answer:
    """Let libpq complete and judge parameters, without reaching a server.

    libpq starts to connect to sockets that cannot exist: everything that it decides before it
    connects is decided, and nothing is opened. A password is stated so that no password file is read.

    Parameters
    ----------
    parameters
        Keyword to value, without `host`, `hostaddr` and `service`.
    hosts
        How many hosts there are, which `port` has to match.
    """
    stated = {**parameters, "host": ",".join([NOWHERE] * hosts), "hostaddr": ""}
    stated["password"] = parameters.get("password") or "-"
    with without_service():
        connection = _pq().PGconn.connect_start(_encode(conninfo(stated)))
    try:
        info = {row.keyword.decode(): _decode(row.val) for row in connection.info if row.val}
        message = connection.error_message.decode("utf-8", "replace").strip()
    finally:
        connection.finish()
    info.pop("host")
    if not parameters.get("password"):
        info.pop("password")
    return Answer(info, None if NOWHERE in message else message)


@contextmanager
def without_service() -> Iterator[None]:
    """Keep libpq from looking up the service that ``PGSERVICE`` names.

    An empty value in a connection string keeps libpq from every other variable, but not from this
    one: a service that is not defined makes it refuse any connection, even one that states everything.
    """
    service = os.environ.pop("PGSERVICE", None)
    try:
        yield
    finally:
        if service is not None:
            os.environ["PGSERVICE"] = service


def conninfo(parameters: Mapping[str, str]) -> str:
    """Write parameters as a keyword/value string, quoted as libpq reads it."""
    return " ".join(f"{keyword}={_quoted(value)}" for keyword, value in parameters.items())


def is_integer(text: str) -> bool:
    """Tell whether libpq reads `text` as an integer: blanks around it and a sign are fine.

    The same as ``pqParseIntParam`` in libpq's ``fe-connect.c``, which it calls only once a TCP
    connection is made, too late for a configuration to be judged.
    """
    return bool(_INTEGER.fullmatch(text)) and -(2**31) <= int(text) < 2**31


_INTEGER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*")
_PLAIN = re.compile(r"[\w./:@,+-]+", re.ASCII)
_QUOTES_A_NAME = re.compile(r'(invalid connection option|invalid URI query parameter:) "([a-z_]+)"')


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _unquoted(message: str) -> str:
    """Leave out what libpq quotes of the string, since that may be a password; keep a keyword's name."""
    message = message.strip()
    if _QUOTES_A_NAME.fullmatch(message):
        return message
    return re.sub(r'[:,]? "(?s:.*)"( in connection info string)?$', r"\1", message)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
