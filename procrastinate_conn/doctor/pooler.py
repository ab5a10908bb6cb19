"""Whether a pooler stands between us and the server, and whether it shares its sessions."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing, suppress
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq.abc import PGresult

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, passed

PROFILE = "settings/pgbouncer.env"
"""The profile for a pooler in transaction mode."""

ATTEMPTS = 5
"""How often the session of another client may come up by chance, before it is taken for our own."""

ANSWER_WITHIN = 2.0
"""Seconds for an answer that does not come where the pooler has no session left."""


def examine(patient: Patient) -> Iterator[Result]:
    """Compare the process that the login told with the one that answers.

    A pooler tells a number of its own at the login. If two clients, both connected, are answered by the
    same process, then sessions are shared: a transaction's end is the session's.
    """
    if backend(patient.session) == patient.session.pgconn.backend_pid:
        yield passed("pooler", "none: this is the server itself", value={"mode": "none"})
        return
    patient.pooler = "unknown"
    with closing(patient.connect()) as second, suppress(TimeoutError):
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
    """Tell whether the second client is answered by the process that has just answered the first.

    Raises
    ------
    TimeoutError
        The second client is not answered: in session mode the pooler may have no session left for it.
    """
    process = backend(first)
    second.pgconn.send_query_params(b"SELECT pg_backend_pid()", None)
    return receive(second).get_value(0, 0) == str(process).encode()


def receive(connection: psycopg.Connection[Any]) -> PGresult:
    """Return the answer to the one command that was sent.

    Raises
    ------
    TimeoutError
        It does not come within `ANSWER_WITHIN`; the connection is good for nothing but to be closed, or
        for another call.
    """
    pgconn = connection.pgconn
    pgconn.flush()
    deadline = monotonic() + ANSWER_WITHIN
    while pgconn.is_busy():
        if not select.select([pgconn.socket], [], [], max(0.0, deadline - monotonic()))[0]:
            raise TimeoutError
        pgconn.consume_input()
    answer = pgconn.get_result()
    assert answer is not None
    while pgconn.get_result() is not None:
        pass
    return answer
