"""The server's farewell that crosses with a query: the one failure after which the query may be sent again.

Whether a connection lives is told from its socket, so a session may be ended just when its connection is
handed out. The query then goes to a server process that says goodbye without reading it. That process says
so only at points where a statement is not complete, and a statement that is not complete leaves nothing
behind. Several statements in one query may have been complete in part. They, and any other loss of a
connection, may come after an effect, and are reported.

There is one more such point: where a message is logged (`errfinish` in PostgreSQL's ``elog.c``). In the
simple protocol, which psycopg2 speaks, the duration of a statement is logged once it is committed
(`exec_simple_query` in ``postgres.c``). There a query goes again only if the server logs no duration as short
as that. In the extended protocol the duration is logged before the commit.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, LiteralString, ParamSpec, Protocol, TypeVar
from weakref import WeakSet

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from psycopg import AsyncClientCursor, ClientCursor, errors

if TYPE_CHECKING:
    from psycopg import BaseConnection

C = TypeVar("C", bound=BaseConnector)
Q = TypeVar("Q", bound=str)
P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 0.05
"""Seconds within which a farewell has crossed with the query. One that comes later has ended a statement that
was running: nothing of it is left either, but whoever ended it may not want it back."""

TEXTS = (
    "terminating connection due to administrator command",
    "terminating connection due to idle-session timeout",
)
"""Where a driver shows only libpq's text, and where the server speaks English; otherwise it is reported."""

MAY_HAVE_LOGGED: LiteralString = """
    SELECT bool_or(
        CASE
            WHEN left(name, 16) = 'log_min_duration' THEN setting::int BETWEEN 0 AND 50
            WHEN right(name, 4) = 'rate' THEN setting::float8 > 0
            ELSE setting = 'on'
        END
    ) AS logged
    FROM pg_settings
    WHERE name IN (
        'log_duration',
        'log_min_duration_sample',
        'log_min_duration_statement',
        'log_statement_stats',
        'log_transaction_sample_rate'
    )
"""
"""Whether the server may log the duration of a statement of no more than 50 ms, which is `AT_ONCE`."""

REPEATS = 5

LOST = "the connection was lost before the server had answered, so the query may have had its effect or not"


class NotBegun(ConnectorException):
    """The server ended the session before it began with the query.

    Parameters
    ----------
    message
        What happened.
    is_certain
        Whether it is so whatever the server logs.
    """

    def __init__(self, message: str, is_certain: bool) -> None:
        super().__init__(message)
        self.is_certain = is_certain


class AnswerLost(ConnectorException):
    """The connection was lost before the server had answered: the query may have had its effect, or not."""


class ConnectionInfo(Protocol):
    """What psycopg and psycopg2 tell of a connection."""

    @property
    def status(self) -> int:
        """libpq's number: 0 while the connection stands."""

    @property
    def error_message(self) -> str | None:
        """What libpq said last, including what the server said before it hung up."""


class Cursor(Protocol):
    """What psycopg and psycopg2 tell of a cursor."""

    @property
    def statusmessage(self) -> str | None:
        """What the server answered to the query; None while it has not."""


@contextmanager
def farewell_told_apart(
    info: ConnectionInfo, query: str, cursor: Cursor | None = None, *, extended: bool = False
) -> Iterator[None]:
    """Send a query in here, and nothing else.

    Parameters
    ----------
    info
        Of the connection.
    query
        The query.
    cursor
        A new one, which the query is sent with. psycopg's may send something more once it is answered.
    extended
        Whether the query is sent with the extended protocol.

    Raises
    ------
    NotBegun
        The server did not begin with the query; its cause is the driver's error.
    AnswerLost
        The connection was lost otherwise; its cause is the driver's error.
    """
    sent = monotonic()
    try:
        yield
    except Exception as error:
        is_answered = cursor is not None and cursor.statusmessage is not None
        crossed = monotonic() - sent < AT_ONCE and _is_farewell(error, info)
        if crossed and not is_answered and _is_one_statement(query):
            raise NotBegun("the server ended the session before it began with the query", extended) from error
        if info.status != 0:
            raise _lost(error) from error
        raise


def is_extended(cursor: object, arguments: Mapping[str, object]) -> bool:
    """Tell whether a cursor of psycopg's sends a query with the extended protocol."""
    return bool(arguments) and not isinstance(cursor, ClientCursor | AsyncClientCursor)


class Farewells:
    """What psycopg's servers say in notices, where libpq has read it together with an answer.

    Attributes
    ----------
    heard : WeakSet of psycopg.BaseConnection
        The connections whose server process ends.
    """

    def __init__(self) -> None:
        self.heard: WeakSet[BaseConnection[Any]] = WeakSet()

    def listen_for(self, connection: BaseConnection[Any]) -> None:
        """Listen to what the server of a connection says from now on."""
        of = weakref.ref(connection)

        def hears(notice: errors.Diagnostic) -> None:
            ended = of()
            if notice.severity_nonlocalized in ("FATAL", "PANIC") and ended is not None:
                self.heard.add(ended)

        connection.add_notice_handler(hears)


def _is_farewell(error: Exception, info: ConnectionInfo) -> bool:
    """Tell whether the server itself, and not a pooler, says goodbye, and not from within a function."""
    if isinstance(error, errors.AdminShutdown | errors.IdleSessionTimeout):
        return error.diag.source_function == "ProcessInterrupts" and error.diag.context is None
    said = info.error_message or ""
    return any(text in said for text in TEXTS) and "CONTEXT:" not in said


def _is_one_statement(query: str) -> bool:
    """Tell whether a query is one statement for certain, as procrastinate's are."""
    return ";" not in query.rstrip().removesuffix(";")


def sent_again(call: Callable[Concatenate[C, Q, P], T]) -> Callable[Concatenate[C, Q, P], T]:
    """Decorate a connector's method that sends a query: call it again where nothing of the query is left."""

    @functools.wraps(call)
    def calls(connector: C, query: Q, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(REPEATS):
            try:
                return call(connector, query, *args, **kwargs)
            except NotBegun as error:
                if question := _question(error, query):
                    with _lost_unless_answered(error):
                        _require_not_logged(error, connector.execute_query_one(question))
        return call(connector, query, *args, **kwargs)

    return calls


def sent_again_async(
    call: Callable[Concatenate[C, Q, P], Awaitable[T]],
) -> Callable[Concatenate[C, Q, P], Awaitable[T]]:
    """Decorate an asynchronous method likewise."""

    @functools.wraps(call)
    async def calls(connector: C, query: Q, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(REPEATS):
            try:
                return await call(connector, query, *args, **kwargs)
            except NotBegun as error:
                if question := _question(error, query):
                    with _lost_unless_answered(error):
                        _require_not_logged(error, await connector.execute_query_one_async(question))
        return await call(connector, query, *args, **kwargs)

    return calls


def _question(error: NotBegun, query: str) -> LiteralString | None:
    """Return what to ask the server before a query is sent again; None where nothing is in doubt."""
    return None if error.is_certain or query == MAY_HAVE_LOGGED else MAY_HAVE_LOGGED


@contextmanager
def _lost_unless_answered(error: NotBegun) -> Iterator[None]:
    try:
        yield
    except AnswerLost:
        raise
    except ConnectorException:
        raise _lost(error.__cause__) from error.__cause__


def _require_not_logged(error: NotBegun, answer: Mapping[str, Any]) -> None:
    if answer["logged"]:
        raise _lost(error.__cause__) from error.__cause__


def _lost(error: BaseException | None) -> AnswerLost:
    return AnswerLost(f"{LOST}: {error}")
