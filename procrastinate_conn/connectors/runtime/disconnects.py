"""Classify disconnects; find those after which a query is safe to retry.

A server process that is told to end sends an error (`ProcessInterrupts` in PostgreSQL's ``postgres.c``),
while a statement is not complete, or before it begins. A statement that is not complete leaves nothing
behind. There is one more such point: where a message is logged (`errfinish` in ``elog.c``).

- In the extended protocol nothing is logged between the commit and the end of the response.
- In the simple protocol, which psycopg2 speaks, the duration of a statement is logged once it is committed
  (`exec_simple_query`). An error with a context, as within a function, comes before that. Any other has
  ended the statement only if it comes soon, and if the server logs no duration as short as that.

Several statements in one query may have been complete in part, and one of the application's may call a
procedure, which commits. They, and any other loss of a connection, may come after an effect, and are
reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any, LiteralString, NamedTuple

from procrastinate import sql
from procrastinate.exceptions import ConnectorException
from psycopg import AsyncClientCursor, ClientCursor, errors

SHUTDOWN_RACE_WINDOW = 0.05
"""Seconds within which the end of the session has crossed with the query."""

SHUTDOWN_CODES = ("57P01", "57P05")
"""PostgreSQL's codes for the end of a session: by an administrator, and because it was idle."""

SHUTDOWN_MESSAGES = (
    "terminating connection due to administrator command",
    "terminating connection due to idle-session timeout",
)
"""For drivers that show only libpq's message, in English; in any other language the loss is reported."""

PROCRASTINATE_QUERIES = frozenset(sql.queries.values())
"""Single statements that call functions, and no procedures."""

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
"""Whether the server may log the duration of a statement that took less than `SHUTDOWN_RACE_WINDOW`."""


class SafeToRetry(ConnectorException):
    """The server ended the session before the query was complete, and nothing of it is left.

    If that is not certain, the query may have been committed on a server that logs durations.
    """

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        super().__init__(message)
        self.is_certain = is_certain


class OutcomeUnknown(ConnectorException):
    """The connection was lost before the server had answered: the query may have had its effect, or not."""

    @classmethod
    def after(cls, error: BaseException | None) -> OutcomeUnknown:
        unknown = cls(
            "the connection was lost before the server had answered, "
            f"so the query may have had its effect or not: {error}"
        )
        unknown.__cause__ = error
        return unknown


class Shutdown(NamedTuple):
    """The server's own report that it ends the session."""

    is_interrupt: bool  # it comes from `ProcessInterrupts`, not from a pooler
    has_context: bool  # it comes from within a function

    @classmethod
    def read(cls, error: Exception, info: Any) -> Shutdown | None:
        """Read the report in an error of psycopg's, or in libpq's message; None if there is none."""
        if isinstance(error, errors.AdminShutdown | errors.IdleSessionTimeout):
            return cls.reported(error.sqlstate, error.diag.source_function, error.diag.context)
        try:
            message = info.error_message or ""
        except UnicodeDecodeError as undecoded:  # a SQL_ASCII session has the server's bytes
            message = undecoded.object.decode(errors="replace")
        if not any(shutdown in message for shutdown in SHUTDOWN_MESSAGES):
            return None
        has_context = message.startswith(tuple(f"FATAL:  {text}\nCONTEXT:" for text in SHUTDOWN_MESSAGES))
        return cls(has_context or "CONTEXT:" not in message, has_context)

    @classmethod
    def reported(
        cls, sqlstate: str | None, source_function: str | None, context: str | None
    ) -> Shutdown | None:
        """Return the report that an error of the server's is; None if it is another error.

        Parameters
        ----------
        sqlstate, source_function, context
            The fields ``C``, ``R`` and ``W`` of the error in PostgreSQL's protocol.
        """
        if sqlstate not in SHUTDOWN_CODES:
            return None
        return cls(source_function == "ProcessInterrupts", context is not None)


def raise_disconnect(
    error: Exception,
    info: Any,
    query: str,
    sent_at: float,
    *,
    cursor: Any = None,
    arguments: Mapping[str, object] = {},
) -> None:
    """Raise `SafeToRetry` or `OutcomeUnknown` from an error of libpq's; do nothing if the connection stands.

    `error` was raised by the driver while it sent the query, at `sent_at` on the monotonic clock, and nothing
    else. `cursor` is psycopg's, new: it may send something more after the result, and it sends a query that
    has arguments with the extended protocol.
    """
    is_extended = bool(cursor and arguments) and not isinstance(cursor, ClientCursor | AsyncClientCursor)
    shutdown = None if cursor and cursor.statusmessage else Shutdown.read(error, info)
    raise_lost(error, query, sent_at, shutdown=shutdown, is_extended=is_extended, is_lost=info.status != 0)


def raise_lost(
    error: Exception,
    query: str,
    sent_at: float,
    *,
    shutdown: Shutdown | None,
    is_extended: bool,
    is_lost: bool,
) -> None:
    """Raise `SafeToRetry` or `OutcomeUnknown` from an error; do nothing if the connection is not lost.

    `is_extended` if the query was sent with the extended protocol; `shutdown` is the server's report, if the
    error has one.
    """
    is_one_statement = ";" not in query.rstrip().removesuffix(";")  # for certain, as procrastinate's are
    if shutdown is not None and shutdown.is_interrupt and is_one_statement:
        is_certain = query in PROCRASTINATE_QUERIES and (is_extended or shutdown.has_context)
        if is_certain or (not shutdown.has_context and monotonic() - sent_at < SHUTDOWN_RACE_WINDOW):
            message = "the server ended the session before the query was complete"
            raise SafeToRetry(message, is_certain=is_certain or is_extended) from error
    if is_lost:
        raise OutcomeUnknown.after(error)
