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
from typing import Any, LiteralString

from procrastinate import sql
from procrastinate.exceptions import ConnectorException
from psycopg import AsyncClientCursor, ClientCursor, errors

SHUTDOWN_RACE_WINDOW = 0.05
"""Seconds within which the end of the session has crossed with the query."""

SHUTDOWN_MESSAGES = (
    "terminating connection due to administrator command",
    "terminating connection due to idle-session timeout",
)
"""For drivers that show only libpq's message, in English; in any other language the loss is reported."""

_OF_PROCRASTINATE = frozenset(sql.queries.values())
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
        """Return one with the driver's error as its cause."""
        unknown = cls(
            "the connection was lost before the server had answered, "
            f"so the query may have had its effect or not: {error}"
        )
        unknown.__cause__ = error
        return unknown


def raise_disconnect(
    error: Exception,
    info: Any,
    query: str,
    sent_at: float,
    *,
    cursor: Any = None,
    arguments: Mapping[str, object] = {},
) -> None:
    """Raise `SafeToRetry` or `OutcomeUnknown` from an error; do nothing if the connection stands.

    `error` was raised by the driver while it sent the query, at `sent_at` on the monotonic clock, and nothing
    else. `cursor` is psycopg's, new: it may send something more after the result, and it sends a query that
    has arguments with the extended protocol.
    """
    if not (cursor is not None and cursor.statusmessage) and _is_one_statement(query):
        is_extended = (
            cursor is not None
            and bool(arguments)
            and not isinstance(cursor, ClientCursor | AsyncClientCursor)
        )
        is_certain = query in _OF_PROCRASTINATE and _is_incomplete(error, info, is_extended)
        crossed = monotonic() - sent_at < SHUTDOWN_RACE_WINDOW and _is_shutdown(error, info)
        if is_certain or crossed:
            message = "the server ended the session before the query was complete"
            raise SafeToRetry(message, is_certain=is_certain or is_extended) from error
    if info.status != 0:
        raise OutcomeUnknown.after(error)


def _is_incomplete(error: Exception, info: Any, is_extended: bool) -> bool:
    """Tell whether a session was ended while its statement was not complete for certain, however late."""
    if isinstance(error, errors.AdminShutdown | errors.IdleSessionTimeout):
        diag = error.diag
        return diag.source_function == "ProcessInterrupts" and (is_extended or diag.context is not None)
    message = info.error_message or ""
    return message.startswith(tuple(f"FATAL:  {shutdown}\nCONTEXT:" for shutdown in SHUTDOWN_MESSAGES))


def _is_shutdown(error: Exception, info: Any) -> bool:
    """Tell whether the server itself, not a pooler, ended the session, and not from within a function."""
    if isinstance(error, errors.AdminShutdown | errors.IdleSessionTimeout):
        return error.diag.source_function == "ProcessInterrupts" and error.diag.context is None
    message = info.error_message or ""
    return any(shutdown in message for shutdown in SHUTDOWN_MESSAGES) and "CONTEXT:" not in message


def _is_one_statement(query: str) -> bool:
    """Tell whether a query is one statement for certain, as procrastinate's are."""
    return ";" not in query.rstrip().removesuffix(";")
