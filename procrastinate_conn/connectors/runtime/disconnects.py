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

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from psycopg import AsyncClientCursor, ClientCursor, errors

if TYPE_CHECKING:
    from weakref import WeakSet

    from psycopg import BaseConnection

C = TypeVar("C", bound=BaseConnector)
Q = TypeVar("Q", bound=str)
P = ParamSpec("P")
T = TypeVar("T")

SHUTDOWN_RACE_WINDOW = 0.05
"""Seconds within which a farewell has crossed with the query. One that comes later has ended a statement that
was running: nothing of it is left either, but whoever ended it may not want it back."""

SHUTDOWN_MESSAGES = (
    "terminating connection due to administrator command",
    "terminating connection due to idle-session timeout",
)
"""Where a driver shows only libpq's text, and where the server speaks English; otherwise it is reported."""

_WINDOW_MS = round(1000 * SHUTDOWN_RACE_WINDOW)

DURATION_LOGGING_QUERY: LiteralString = f"""
    SELECT bool_or(
        CASE
            WHEN left(name, 16) = 'log_min_duration' THEN setting::int BETWEEN 0 AND {_WINDOW_MS}
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
"""  # noqa: S608 - a number of ours
"""Whether the server may log the duration of a statement that took no longer than `SHUTDOWN_RACE_WINDOW`."""

REPEATS = 5

LOST = "the connection was lost before the server had answered, so the query may have had its effect or not"


class SafeToRetry(ConnectorException):
    """The server ended the session before it began with the query.

    Parameters
    ----------
    message
        What happened.
    is_certain
        Whether it is so whatever the server logs.
    """

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        super().__init__(message)
        self.is_certain = is_certain


class OutcomeUnknown(ConnectorException):
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
def classify_disconnect(
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
    SafeToRetry
        The server did not begin with the query; its cause is the driver's error.
    OutcomeUnknown
        The connection was lost otherwise; its cause is the driver's error.
    """
    sent = monotonic()
    try:
        yield
    except Exception as error:
        is_answered = cursor is not None and cursor.statusmessage is not None
        crossed = monotonic() - sent < SHUTDOWN_RACE_WINDOW and _is_farewell(error, info)
        if crossed and not is_answered and _is_one_statement(query):
            said = "the server ended the session before it began with the query"
            raise SafeToRetry(said, is_certain=extended) from error
        if info.status != 0:
            raise _lost(error) from error
        raise


def is_extended(cursor: object, arguments: Mapping[str, object]) -> bool:
    """Tell whether a cursor of psycopg's sends a query with the extended protocol."""
    return bool(arguments) and not isinstance(cursor, ClientCursor | AsyncClientCursor)


def listen_for_farewell(connection: BaseConnection[Any], ended: WeakSet[Any]) -> None:
    """Add a connection of psycopg's to a set once its server says in a notice that it ends."""
    of = weakref.ref(connection)

    def hears(notice: errors.Diagnostic) -> None:
        heard = of()
        if notice.severity_nonlocalized in ("FATAL", "PANIC") and heard is not None:
            ended.add(heard)

    connection.add_notice_handler(hears)


def _is_farewell(error: Exception, info: ConnectionInfo) -> bool:
    """Tell whether the server itself, and not a pooler, says goodbye, and not from within a function."""
    if isinstance(error, errors.AdminShutdown | errors.IdleSessionTimeout):
        return error.diag.source_function == "ProcessInterrupts" and error.diag.context is None
    said = info.error_message or ""
    return any(text in said for text in SHUTDOWN_MESSAGES) and "CONTEXT:" not in said


def _is_one_statement(query: str) -> bool:
    """Tell whether a query is one statement for certain, as procrastinate's are."""
    return ";" not in query.rstrip().removesuffix(";")


def retry_if_safe(call: Callable[Concatenate[C, Q, P], T]) -> Callable[Concatenate[C, Q, P], T]:
    """Decorate a connector's method that sends a query: call it again where nothing of the query is left."""

    @functools.wraps(call)
    def calls(connector: C, query: Q, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(REPEATS):
            try:
                return call(connector, query, *args, **kwargs)
            except SafeToRetry as error:
                if _is_in_doubt(error, query) and _may_have_logged(connector):
                    raise _lost(error.__cause__) from error.__cause__
        return call(connector, query, *args, **kwargs)

    return calls


def retry_if_safe_async(
    call: Callable[Concatenate[C, Q, P], Awaitable[T]],
) -> Callable[Concatenate[C, Q, P], Awaitable[T]]:
    """Decorate an asynchronous method likewise."""

    @functools.wraps(call)
    async def calls(connector: C, query: Q, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(REPEATS):
            try:
                return await call(connector, query, *args, **kwargs)
            except SafeToRetry as error:
                if _is_in_doubt(error, query) and await _may_have_logged_async(connector):
                    raise _lost(error.__cause__) from error.__cause__
        return await call(connector, query, *args, **kwargs)

    return calls


def _is_in_doubt(error: SafeToRetry, query: str) -> bool:
    """Tell whether something of a query may be left if the server logs durations."""
    return not error.is_certain and query != DURATION_LOGGING_QUERY


def _may_have_logged(connector: BaseConnector) -> bool:
    """Ask the server on another connection; without an answer it may have."""
    try:
        return bool(connector.execute_query_one(DURATION_LOGGING_QUERY)["logged"])
    except ConnectorException:
        return True


async def _may_have_logged_async(connector: BaseConnector) -> bool:
    try:
        return bool((await connector.execute_query_one_async(DURATION_LOGGING_QUERY))["logged"])
    except ConnectorException:
        return True


def _lost(error: BaseException | None) -> OutcomeUnknown:
    return OutcomeUnknown(f"{LOST}: {error}")
