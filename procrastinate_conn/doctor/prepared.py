"""Whether a prepared query is still there when the pooler has changed the session behind us."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

from procrastinate_conn.doctor.patient import Patient
from procrastinate_conn.doctor.pooler import ATTEMPTS, PROFILE, backend, receive, send
from procrastinate_conn.doctor.result import Result, failed, passed, warned
from procrastinate_conn.drivers import uses_psycopg2


def examine(patient: Patient) -> Iterator[Result]:
    """Prepare a query, have another client take the server's session, and execute it on the next one."""
    threshold = None if uses_psycopg2(patient.blueprint.kind) else patient.blueprint.pool.prepare_threshold
    if patient.pooler == "none":
        return
    if threshold is None:
        yield passed("prepared", "nothing is prepared, so that the pooler need not know of it")
        return
    if patient.pooler == "unknown":
        yield passed("prepared", "in session mode prepared queries stay")
        return
    with patient.connect() as other:
        kept = next(
            (kept for _ in range(ATTEMPTS) if (kept := _try(patient.session, other)) is not None), None
        )
    if kept:
        yield passed("prepared", "prepared queries go through the pooler")
        return
    hint = f"state pool.prepare_threshold=none, as {PROFILE} does"
    if kept is None:
        yield warned("prepared", "it could not be told whether the pooler keeps prepared queries", hint)
        return
    message = f"the pooler loses prepared queries: calls fail after the first {threshold}"
    yield failed("prepared", message, f"{hint}; or set PgBouncer's max_prepared_statements (1.21)")


def _try(first: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool | None:
    """Tell whether a query that was prepared in one session of the server's can be executed in another.

    Returns
    -------
    bool or None
        None if it was not executed in another one.
    """
    name = f"procrastinate_conn_{secrets.token_hex(8)}".encode()
    first.pgconn.prepare(name, b"SELECT pg_backend_pid()")
    prepared_in = _process(first.pgconn.exec_prepared(name, None))
    try:
        with other.transaction():  # which keeps its session, the one that comes first to hand
            if backend(other) != prepared_in:
                return None
            first.pgconn.send_query_prepared(name, None)
            first.pgconn.flush()
            answer = receive(first, 2.0)
        if answer is None:  # there is no second session; with the first one given back, there is an answer
            receive(first, 2.0)
            return None
        executed_in = _process(answer)
        return executed_in is not None if executed_in != prepared_in else None
    finally:
        send(first, f'DEALLOCATE "{name.decode()}"')
        receive(first, 2.0)


def _process(answer: PGresult) -> int | None:
    """Return the process that a query was answered with; None if it was not."""
    if answer.status != pq.ExecStatus.TUPLES_OK:
        return None
    value = answer.get_value(0, 0)
    return None if value is None else int(value)
