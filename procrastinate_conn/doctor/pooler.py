"""Whether there is a pooler in between, whether it shares its sessions, and keeps prepared statements."""

from __future__ import annotations

import secrets
import select
from contextlib import closing, suppress
from time import monotonic
from typing import Any

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned
from procrastinate_conn.registry import REGISTRY

ATTEMPTS = 5
"""How often a check is repeated that another client's session may disturb by chance."""

RESULT_TIMEOUT = 2.0
"""Seconds to wait for a result, which does not arrive if the pooler has no session left."""


def check_pooler(context: HostContext) -> Result:
    """Compare the backend PID of the login with that of a query.

    A pooler sends a PID of its own at the login. If two clients are connected and both get the same
    backend, then the pooler shares its sessions: it is in transaction mode.
    """
    if backend_pid(context.session) == context.session.pgconn.backend_pid:
        return passed("none: this is the server itself", value={"mode": "none"})
    context.pooler = "unknown"
    mode = "session mode, as far as can be detected"
    with closing(context.connect()) as second, suppress(TimeoutError):
        if any(_shares_backend(context.session, second) for _ in range(ATTEMPTS)):
            context.pooler, mode = "transaction", "transaction mode"
    return passed(f"there is one in between, in {mode}", value={"mode": context.pooler})


def check_prepared_statements(context: HostContext) -> Result | None:
    """Prepare a statement, let another client occupy its session, and execute it in the next one."""
    if context.pooler == "none":
        return None
    config = context.config
    threshold = None if REGISTRY[config.kind].uses_psycopg2 else config.pool.prepare_threshold
    if threshold is None:
        return passed("no statements are prepared")
    if context.pooler == "unknown":
        return passed("prepared statements work in session mode")
    hint, keeps = "set PROCRASTINATE_CONN_POOL__PREPARE_THRESHOLD=none", _keeps_prepared_statements(context)
    if keeps is None:
        return warned("it could not be determined whether the pooler keeps prepared statements", hint)
    if keeps:
        return passed("the pooler keeps prepared statements")
    message = f"the pooler loses prepared statements: calls fail after the first {threshold}"
    return failed(message, f"{hint}; or set PgBouncer's max_prepared_statements (1.21)")


def backend_pid(connection: psycopg.Connection[Any]) -> int:
    """Return the PID of the backend that runs a query."""
    [(pid,)] = connection.execute("SELECT pg_backend_pid()").fetchall()
    return int(pid)


def _shares_backend(first: psycopg.Connection[Any], second: psycopg.Connection[Any]) -> bool:
    """Return whether the second client gets the backend that the first one has just had.

    `TimeoutError` is raised if it gets no result: in session mode the pooler may have no session left for it.
    """
    pid = backend_pid(first)
    second.pgconn.send_query_params(b"SELECT pg_backend_pid()", None)
    return _receive(second).get_value(0, 0) == str(pid).encode()


def _keeps_prepared_statements(context: HostContext) -> bool | None:
    """Return whether the pooler keeps prepared statements; None if that could not be determined."""
    with closing(context.connect()) as first, closing(context.connect()) as other, suppress(TimeoutError):
        for _ in range(ATTEMPTS):
            if (keeps := _try(first, other)) is not None:
                return keeps
    return None


def _try(first: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool | None:
    """Return whether a statement that was prepared in one server session can be executed in another.

    It is None if it was not executed in another one. `TimeoutError` is raised if there is no second session.
    """
    name = f"procrastinate_conn_{secrets.token_hex(8)}".encode()
    first.pgconn.send_prepare(name, b"SELECT pg_backend_pid()")
    _receive(first)
    try:
        prepared_in = _execute(first, name)
        with other.transaction():  # which occupies a session, most likely that of `first`
            if backend_pid(other) != prepared_in:
                return None
            executed_in = _execute(first, name)
        if executed_in is None:
            return False
        return None if executed_in == prepared_in else True
    finally:
        _deallocate(first, name)


def _execute(connection: psycopg.Connection[Any], name: bytes) -> int | None:
    """Return the PID of the backend that executes a prepared statement; None if it fails."""
    connection.pgconn.send_query_prepared(name, None)
    result = _receive(connection)
    pid = result.get_value(0, 0) if result.status == pq.ExecStatus.TUPLES_OK else None
    return None if pid is None else int(pid)


def _deallocate(connection: psycopg.Connection[Any], name: bytes) -> None:
    """Deallocate a prepared statement, if the pooler has a session for that."""
    with suppress(TimeoutError):
        if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            _receive(connection)  # the result that timed out before, until the other client freed its session
        connection.pgconn.send_query_params(b'DEALLOCATE "%s"' % name, None)
        _receive(connection)


def _receive(connection: psycopg.Connection[Any]) -> PGresult:
    """Return the result of the one command that was sent.

    `TimeoutError` is raised if it does not arrive within `RESULT_TIMEOUT`; the connection can only be closed,
    or received from again.
    """
    pgconn = connection.pgconn
    pgconn.flush()
    deadline = monotonic() + RESULT_TIMEOUT
    while pgconn.is_busy():
        if not select.select([pgconn.socket], [], [], max(0.0, deadline - monotonic()))[0]:
            raise TimeoutError
        pgconn.consume_input()
    result = pgconn.get_result()
    assert result is not None
    while pgconn.get_result() is not None:
        pass
    return result
