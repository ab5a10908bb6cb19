"""Whether a prepared query is still there when the pooler has changed the session behind us."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg
from psycopg import pq

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.pooler import ATTEMPTS, PROFILE, backend, receive
from procrastinate_conn.doctor.result import Result, failed, passed, warned
from procrastinate_conn.registry import REGISTRY


def examine(patient: Patient) -> Iterator[Result]:
    """Prepare a query, have another client take the server's session, and execute it on the next one."""
    threshold = None if REGISTRY[patient.config.kind].uses_psycopg2 else patient.config.pool.prepare_threshold
    if patient.pooler == "none":
        return
    if threshold is None:
        yield passed("prepared", "nothing is prepared, so that the pooler need not know of it")
        return
    if patient.pooler == "unknown":
        yield passed("prepared", "in session mode prepared queries stay")
        return
    kept = _kept(patient)
    if kept:
        yield passed("prepared", "prepared queries go through the pooler")
        return
    hint = f"state pool.prepare_threshold=none, as {PROFILE} does"
    if kept is None:
        yield warned("prepared", "it could not be told whether the pooler keeps prepared queries", hint)
        return
    message = f"the pooler loses prepared queries: calls fail after the first {threshold}"
    yield failed("prepared", message, f"{hint}; or set PgBouncer's max_prepared_statements (1.21)")


def _kept(patient: Patient) -> bool | None:
    """Tell whether prepared queries go through the pooler; None if that could not be told."""
    with closing(patient.connect()) as first, closing(patient.connect()) as other, suppress(TimeoutError):
        for _ in range(ATTEMPTS):
            if (kept := _try(first, other)) is not None:
                return kept
    return None


def _try(first: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool | None:
    """Tell whether a query that was prepared in one session of the server's can be executed in another.

    Returns
    -------
    bool or None
        None if it was not executed in another one.

    Raises
    ------
    TimeoutError
        There is no second session.
    """
    name = f"procrastinate_conn_{secrets.token_hex(8)}".encode()
    first.pgconn.send_prepare(name, b"SELECT pg_backend_pid()")
    receive(first)
    try:
        prepared_in = _execute(first, name)
        with other.transaction():  # which keeps its session, the one that comes first to hand
            if backend(other) != prepared_in:
                return None
            executed_in = _execute(first, name)
        return executed_in is not None if executed_in != prepared_in else None
    finally:
        _forget(first, name)


def _execute(connection: psycopg.Connection[Any], name: bytes) -> int | None:
    """Return the process that a prepared query was answered by; None if it was refused."""
    connection.pgconn.send_query_prepared(name, None)
    answer = receive(connection)
    if answer.status != pq.ExecStatus.TUPLES_OK:
        return None
    value = answer.get_value(0, 0)
    return None if value is None else int(value)


def _forget(connection: psycopg.Connection[Any], name: bytes) -> None:
    """Deallocate a prepared query, as far as the pooler has a session for that."""
    with suppress(TimeoutError):
        if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            receive(connection)  # which was waited for in vain, until the other one gave its session back
        connection.pgconn.send_query_params(b'DEALLOCATE "%s"' % name, None)
        receive(connection)
