"""Time limits of a worker's own queries, which otherwise wait as long as their connection does."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Self

from procrastinate import sql
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

WORKER_QUERIES = frozenset(
    sql.queries[name]
    for name in (
        "fetch_job",
        "finish_job",
        "retry_job",
        "update_heartbeat",
        "list_jobs_to_abort",
        "prune_stalled_workers",
        "register_worker",
        "unregister_worker",
    )
)

SIDE_TASK_QUERIES = frozenset(
    sql.queries[name] for name in ("update_heartbeat", "list_jobs_to_abort", "defer_periodic_job")
)
"""What the tasks beside a worker's loop execute, again and again until they are cancelled."""

CHECK_INTERVAL = 1.0
"""Seconds between two checks of a query that takes long."""

STOP_LIMIT = 5.0
"""Seconds that a worker that was told to stop waits for a response, and for its last query."""

STOP_LIMIT_IN_ALL = 10.0
"""Seconds that any other query may take from then on, with every attempt."""

UNREGISTER = sql.queries["unregister_worker"]
"""A worker's last query. Without it the others take the worker for stalled, as it is."""

current_limit: ContextVar[WorkerQueryLimit | None] = ContextVar("current_limit", default=None)
"""The limit of the query that the current task executes; the pool tells it of the connection."""


class WorkerQueries:
    """The queries of workers that a pool executes, checked each second as long as there are some."""

    def __init__(self) -> None:
        self._limits: set[WorkerQueryLimit] = set()
        self._is_checking = False

    def add(self, limit: WorkerQueryLimit) -> None:
        """Check a query from now on."""
        self._limits.add(limit)
        if not self._is_checking:
            self._schedule_check()

    def remove(self, limit: WorkerQueryLimit) -> None:
        """Check a query no longer."""
        self._limits.remove(limit)

    def _schedule_check(self) -> None:
        # One timer for all: a timer for each query would cost more than everything else of its limit.
        self._is_checking = True
        asyncio.get_running_loop().call_later(CHECK_INTERVAL, self._check)

    def _check(self) -> None:
        self._is_checking = False
        if self._limits:  # first, so that an error in one check does not end those of the others
            self._schedule_check()
        for limit in tuple(self._limits):
            limit.check()


class WorkerQueryLimit:
    """Limits a query to so many seconds without a response, and to fewer once its worker is to stop.

    A response that is late is lost: the socket is shut down, and the policy of `retry` follows, as after any
    loss. Seconds are counted in checks, of which a query that is answered soon has none.
    """

    def __init__(self, seconds: float, pool: Any, query: str) -> None:
        self._seconds = seconds
        self._seconds_from_stop = STOP_LIMIT if query == UNREGISTER else STOP_LIMIT_IN_ALL
        self._pool = pool
        self._connection: Any = None
        self._without_response = -CHECK_INTERVAL  # as the first check may follow at once
        self._since_stop = 0.0
        self._is_cancelled = False

    def acquired(self, connection: Any) -> None:
        """Note that a connection of the pool's is pinged, or that the query is sent on it."""
        self._connection = connection
        self._without_response = -CHECK_INTERVAL

    def released(self) -> None:
        """Note that the response is there, or that the connection is lost."""
        self._connection = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._token = current_limit.set(self)
        self._pool.worker_queries.add(self)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:  # noqa: PYI036
        self._pool.worker_queries.remove(self)
        current_limit.reset(self._token)
        # As asyncio.timeout: whoever else cancels the task is not to be kept from it.
        if (
            self._is_cancelled
            and self._task.uncancel() <= self._cancelling
            and isinstance(error, asyncio.CancelledError)
        ):
            message = f"the worker stops: there was no response within {self._since_stop:.0f} sec"
            raise ConnectorException(message) from error

    def check(self) -> None:
        """Count a second more, and end what takes too long."""
        seconds = self._seconds
        if self._is_stopping():
            seconds = min(seconds, STOP_LIMIT)
            self._since_stop += CHECK_INTERVAL
        self._without_response += CHECK_INTERVAL
        is_over = self._since_stop >= self._seconds_from_stop
        if is_over and self._connection is None:
            self._cancel()
        elif is_over or self._without_response >= seconds:
            self._shut_down()

    def _cancel(self) -> None:
        """Cancel the query while it has no connection: on one, psycopg would ask the server to cancel it."""
        if not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    def _shut_down(self) -> None:
        """Let the driver notice that the connection is lost; others may be silent, too."""
        if self._connection is None:
            return
        self._pool.check_idle()
        with suppress(*self._pool.connection_factory.errors, OSError):  # it is closed already
            descriptor = os.dup(self._pool.connection_factory.fileno(self._connection))
            with socket.socket(fileno=descriptor) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    def _is_stopping(self) -> bool:
        """Tell whether the worker whose task this is was told to stop, of which it tells no connector."""
        coroutine = self._task.get_coro()
        worker = inspect.getcoroutinelocals(coroutine).get("self") if inspect.iscoroutine(coroutine) else None
        return isinstance(worker, Worker) and worker._stop_event.is_set()  # noqa: SLF001 - no public way
