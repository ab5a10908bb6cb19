"""Whether a pooler stands between us and the server, and whether it shares its sessions."""

from __future__ import annotations

import select
from collections.abc import Iterator
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq.abc import PGresult

from procrastinate_conn.doctor.patient import Patient
from procrastinate_conn.doctor.result import Result, passed

PROFILE = "settings/pgbouncer.env"
"""The profile for a pooler in transaction mode."""

ATTEMPTS = 5
"""How often the session of another client may come up by chance, before it is taken for our own."""


def examine(patient: Patient) -> Iterator[Result]:
    """Compare the process that the login told with the one that answers.

    A pooler tells a number of its own at the login. If two clients, both connected, are answered by the
    same process, then sessions are shared: a transaction's end is the session's.
    """
    if backend(patient.session) == patient.session.pgconn.backend_pid:
        yield passed("pooler", "none: this is the server itself", value={"mode": "none"})
        return
    patient.pooler = "unknown"
    with patient.connect() as second:
        if any(shares_backend(patient.session, second) for _ in range(ATTEMPTS)):
            patient.pooler = "transaction"
    mode = "transaction mode" if patient.pooler == "transaction" else "session mode, as far as can be told"
    yield passed("pooler", f"one is between, in {mode}", value={"mode": patient.pooler})


def backend(connection: psycopg.Connection[Any]) -> int:
    """Return the process that answers."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    process: int = row[0]
    return process


def shares_backend(first: psycopg.Connection[Any], second: psycopg.Connection[Any]) -> bool:
    """Tell whether the second client is answered by the process that has just answered the first."""
    process = backend(first)
    send(second, "SELECT pg_backend_pid()")
    answer = receive(second, 2.0)  # in session mode the pooler may have no session left for it
    return answer is not None and answer.get_value(0, 0) == str(process).encode()


def send(connection: psycopg.Connection[Any], query: str) -> None:
    """Send a query, and do not wait for the answer."""
    connection.pgconn.send_query_params(query.encode(), None)
    connection.pgconn.flush()


def receive(connection: psycopg.Connection[Any], seconds: float) -> PGresult | None:
    """Return the answer to what was sent, or None if it does not come within so many seconds."""
    pgconn = connection.pgconn
    deadline = monotonic() + seconds
    while pgconn.is_busy():
        if not select.select([pgconn.socket], [], [], max(0.0, deadline - monotonic()))[0]:
            return None
        pgconn.consume_input()
    answer = pgconn.get_result()
    while pgconn.get_result() is not None:
        pass
    return answer
