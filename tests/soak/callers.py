"""Callers that defer jobs all the time, in threads or in tasks of one event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import procrastinate
from procrastinate.exceptions import ConnectorException

from tests.soak.accounting import Call, Failure

CALLERS = 20

BACKEND = "SELECT pg_backend_pid() AS pid FROM pg_sleep(1)"
"""Keeps a connection long enough for the pool to open as many as it may."""


class Callers:
    """Callers on one app; they call until `stop` is set.

    Of a call that succeeds nothing is kept, so that a leak of memory is the connector's.

    Parameters
    ----------
    app
        An app with a task ``work``.
    slots
        The `max_size` of the connector's pool.

    Attributes
    ----------
    calls : list of int
        The number of calls of each caller.
    failed : dict
        The calls that failed.
    longest : float
        Seconds that the longest call took.
    opened, stop : threading.Event
        Whether the app is open; set to end the callers.
    backends : set of int
        The process numbers of the connections that were in use at the same time in the end.
    """

    def __init__(self, app: procrastinate.App, slots: int) -> None:
        self.app = app
        self.slots = slots
        self.calls = [0] * CALLERS
        self.failed: dict[Call, Failure] = {}
        self.longest = 0.0
        self.opened, self.stop = threading.Event(), threading.Event()
        self.backends: set[int] = set()

    def run_in_threads(self) -> None:
        """Open the app, let callers in threads defer jobs until `stop` is set, and use every connection."""
        with self.app.open():
            self.opened.set()
            in_threads(self._defer, CALLERS)
            in_threads(self._use_connection, self.slots)

    async def run_in_tasks(self) -> None:
        """Do the same with callers in tasks."""
        async with self.app.open_async():
            self.opened.set()
            await asyncio.gather(*map(self._defer_async, range(CALLERS)))
            await asyncio.gather(*map(self._use_connection_async, range(self.slots)))

    def _defer(self, caller: int) -> None:
        defer: Callable[..., int] = self.app.tasks["work"].defer
        while not self.stop.is_set():
            with self._call(caller) as number:
                defer(caller=caller, number=number)

    async def _defer_async(self, caller: int) -> None:
        defer = self.app.tasks["work"].defer_async
        while not self.stop.is_set():
            with self._call(caller) as number:
                await defer(caller=caller, number=number)

    def _use_connection(self, _: int) -> None:
        with suppress(ConnectorException):
            self.backends.add(self.app.connector.execute_query_one(BACKEND)["pid"])

    async def _use_connection_async(self, _: int) -> None:
        with suppress(ConnectorException):
            self.backends.add((await self.app.connector.execute_query_one_async(BACKEND))["pid"])

    @contextmanager
    def _call(self, caller: int) -> Iterator[int]:
        number = self.calls[caller]
        self.calls[caller] += 1  # each caller has its own, so that no lock is needed
        started = time.monotonic()
        try:
            yield number
        except Exception as error:  # noqa: BLE001 - every kind of failure is counted
            self.failed[Call(caller, number)] = Failure.of(error)
        self.longest = max(self.longest, time.monotonic() - started)


def in_threads(function: Callable[[int], object], number: int) -> None:
    """Call a function in so many threads, each with its number, and wait for them.

    They are daemons, so that one that hangs does not keep the process.
    """
    threads = [threading.Thread(target=function, args=[each], daemon=True) for each in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
