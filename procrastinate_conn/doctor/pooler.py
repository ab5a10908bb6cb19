"""Whether there is a pooler between client and server, and whether it shares its sessions."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing, suppress
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq.abc import PGresult

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, passed

ATTEMPTS = 5
"""How often a check is repeated that another client's session may disturb by chance."""

RESULT_TIMEOUT = 2.0
"""Seconds to wait for a result, which does not arrive if the pooler has no session left."""


def run(context: HostContext) -> Iterator[Result]:
    """Compare the backend PID of the login with that of a query.

    A pooler sends a PID of its own at the login. If two clients are connected and both get the same
    backend, then the pooler shares its sessions: it is in transaction mode.
    """
    if backend_pid(context.session) == context.session.pgconn.backend_pid:
        yield passed("pooler", "none: this is the server itself", value={"mode": "none"})
        return
    context.pooler = "unknown"
    mode = "session mode, as far as can be detected"
    with closing(context.connect()) as second, suppress(TimeoutError):
        if any(shares_backend(context.session, second) for _ in range(ATTEMPTS)):
            context.pooler, mode = "transaction", "transaction mode"
    yield passed("pooler", f"there is one in between, in {mode}", value={"mode": context.pooler})


def backend_pid(connection: psycopg.Connection[Any]) -> int:
    """Return the PID of the backend that runs a query."""
    [(pid,)] = connection.execute("SELECT pg_backend_pid()").fetchall()
    return int(pid)


def shares_backend(first: psycopg.Connection[Any], second: psycopg.Connection[Any]) -> bool:
    """Return whether the second client gets the backend that the first one has just had.

    `TimeoutError` is raised if it gets no result: in session mode the pooler may have no session left for it.
    """
    pid = backend_pid(first)
    second.pgconn.send_query_params(b"SELECT pg_backend_pid()", None)
    return receive(second).get_value(0, 0) == str(pid).encode()


def receive(connection: psycopg.Connection[Any]) -> PGresult:
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
