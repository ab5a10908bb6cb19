"""Whether a prepared statement still exists when the pooler has assigned another session."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg
from psycopg import pq

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.pooler import ATTEMPTS, backend_pid, receive
from procrastinate_conn.doctor.report import Result, failed, passed, warned
from procrastinate_conn.registry import REGISTRY


def run(context: HostContext) -> Iterator[Result]:
    """Prepare a statement, let another client occupy its session, and execute it in the next one."""
    if context.pooler == "none":
        return
    config = context.config
    threshold = None if REGISTRY[config.kind].uses_psycopg2 else config.pool.prepare_threshold
    hint = "set PROCRASTINATE_CONN_POOL__PREPARE_THRESHOLD=none"
    if threshold is None:
        yield passed("prepared", "no statements are prepared")
    elif context.pooler == "unknown":
        yield passed("prepared", "prepared statements work in session mode")
    elif (supported := _is_supported(context)) is None:
        message = "it could not be determined whether the pooler keeps prepared statements"
        yield warned("prepared", message, hint)
    elif supported:
        yield passed("prepared", "the pooler keeps prepared statements")
    else:
        message = f"the pooler loses prepared statements: calls fail after the first {threshold}"
        yield failed("prepared", message, f"{hint}; or set PgBouncer's max_prepared_statements (1.21)")


def _is_supported(context: HostContext) -> bool | None:
    """Return whether the pooler keeps prepared statements; None if that could not be determined."""
    with closing(context.connect()) as first, closing(context.connect()) as other, suppress(TimeoutError):
        for _ in range(ATTEMPTS):
            if (supported := _try(first, other)) is not None:
                return supported
    return None


def _try(first: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool | None:
    """Return whether a statement that was prepared in one server session can be executed in another.

    It is None if it was not executed in another one. `TimeoutError` is raised if there is no second session.
    """
    name = f"procrastinate_conn_{secrets.token_hex(8)}".encode()
    first.pgconn.send_prepare(name, b"SELECT pg_backend_pid()")
    receive(first)
    try:
        prepared_in = _execute(first, name)
        with other.transaction():  # which occupies a session, most likely that of `first`
            if backend_pid(other) != prepared_in:
                return None
            executed_in = _execute(first, name)
        return executed_in is not None if executed_in != prepared_in else None
    finally:
        _deallocate(first, name)


def _execute(connection: psycopg.Connection[Any], name: bytes) -> int | None:
    """Return the PID of the backend that executes a prepared statement; None if it fails."""
    connection.pgconn.send_query_prepared(name, None)
    result = receive(connection)
    if result.status != pq.ExecStatus.TUPLES_OK:
        return None
    pid = result.get_value(0, 0)
    return None if pid is None else int(pid)


def _deallocate(connection: psycopg.Connection[Any], name: bytes) -> None:
    """Deallocate a prepared statement, if the pooler has a session for that."""
    with suppress(TimeoutError):
        if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            receive(connection)  # the result that timed out before, until the other client freed its session
        connection.pgconn.send_query_params(b'DEALLOCATE "%s"' % name, None)
        receive(connection)
