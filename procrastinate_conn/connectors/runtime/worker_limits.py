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


class WorkerQueryLimit:
    """Limits a query to so many seconds without a response, and to fewer once its worker is to stop.

    A response that is late is lost: the socket is shut down, and the policy of `retry` follows, as after any
    loss. Seconds are counted in checks, of which a query that is answered soon has none.
    """

    def __init__(self, seconds: float, pool: Any, query: str) -> None:
        self._seconds = seconds
        self._seconds_from_stop = STOP_LIMIT if query == UNREGISTER else STOP_LIMIT_IN_ALL
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._connection: Any = None
        self._without_response = self._since_stop = 0.0
        self._scope = asyncio.timeout(None)

    def acquired(self, connection: Any) -> None:
        """Note that a connection of the pool's is pinged, or that the query is sent on it."""
        self._connection = connection
        self._without_response = 0.0

    def released(self) -> None:
        """Note that the response is there, or that the connection is lost."""
        self._connection = None

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._token = current_limit.set(self)
        self._check = self._loop.call_later(CHECK_INTERVAL, self._run_check)
        return self

    async def __aexit__(self, *exception: Any) -> None:  # noqa: PYI036 - passed on
        self._check.cancel()
        current_limit.reset(self._token)
        try:
            await self._scope.__aexit__(*exception)
        except TimeoutError as timeout:
            message = f"the worker stops: there was no response within {self._since_stop:.0f} sec"
            raise ConnectorException(message) from timeout

    def _run_check(self) -> None:
        is_stopping = self._is_stopping()
        self._since_stop += CHECK_INTERVAL if is_stopping else 0.0
        self._without_response += CHECK_INTERVAL
        if self._since_stop >= self._seconds_from_stop:
            self._give_up()
            return
        if self._without_response >= (min(self._seconds, STOP_LIMIT) if is_stopping else self._seconds):
            self._shut_down()
        self._check = self._loop.call_later(CHECK_INTERVAL, self._run_check)

    def _give_up(self) -> None:
        """Cancel the query while it has no connection: on one, psycopg would ask the server to cancel it."""
        if self._connection is None:
            self._scope.reschedule(self._loop.time())
            return
        self._shut_down()
        self._check = self._loop.call_later(CHECK_INTERVAL / 10, self._give_up)

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
        coroutine = self._task and self._task.get_coro()
        worker = inspect.getcoroutinelocals(coroutine).get("self") if inspect.iscoroutine(coroutine) else None
        return isinstance(worker, Worker) and worker._stop_event.is_set()  # noqa: SLF001 - no public way
