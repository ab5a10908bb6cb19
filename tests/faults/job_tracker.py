"""Jobs under a fault: the calls, their errors, the jobs stored and worked."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import procrastinate

from tests.servers import Observer, soon, wait_until

PAUSE = 0.005
"""Seconds between two calls of one deferrer."""

UNFINISHED = "SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded'"


class JobTracker:
    """Numbers the calls of deferrers, and keeps the error of each.

    Parameters
    ----------
    app
        What the jobs are deferred with.

    Attributes
    ----------
    asked : int
        Calls started.
    failed : dict
        Number of a call to its error.
    longest : float
        Seconds that the longest call took.
    """

    def __init__(self, app: procrastinate.App) -> None:
        self.app = app
        self.failed: dict[int, Exception] = {}
        self.asked = 0
        self.longest = 0.0
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @contextmanager
    def _call(self) -> Iterator[int]:
        with self._lock:
            number = next(self._numbers)
            self.asked += 1
        started = time.monotonic()
        try:
            yield number
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            self.failed[number] = error
        finally:
            self.longest = max(self.longest, time.monotonic() - started)

    def _defer(self) -> None:
        while not self._stop.wait(PAUSE):
            with self._call() as number:
                self.app.tasks["work"].defer(argument=number)

    async def _defer_async(self) -> None:
        while not self._stop.is_set():
            with self._call() as number:
                await self.app.tasks["work"].defer_async(argument=number)
            await asyncio.sleep(PAUSE)

    @contextmanager
    def in_threads(self, number: int) -> Iterator[None]:
        """Defer from so many threads meanwhile; the calls under way are waited for."""
        threads = [threading.Thread(target=self._defer) for _ in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    @asynccontextmanager
    async def in_tasks(self, number: int) -> AsyncIterator[None]:
        """Defer from so many tasks meanwhile; the calls under way are waited for."""
        tasks = [asyncio.create_task(self._defer_async()) for _ in range(number)]
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*tasks)

    def goes_on(self, calls: int = 20) -> None:
        """Wait until so many more calls have started."""
        started = self.asked
        wait_until(lambda: self.asked >= started + calls, within=60)

    async def goes_on_async(self, calls: int = 20) -> None:
        """Wait until so many more calls have started."""
        started = self.asked
        await soon(lambda: self.asked >= started + calls, within=60)

    def stored_once(self, observer: Observer) -> list[int]:
        """Return the jobs in the database, having made sure that none is lost or doubled.

        A call that failed may have stored its job or not: its outcome is unknown, which is why it failed.
        """
        stored = sorted(observer.jobs())
        assert len(stored) == len(set(stored))
        assert set(range(self.asked)) - set(self.failed) <= set(stored) <= set(range(self.asked))
        return stored


@asynccontextmanager
async def working(app: procrastinate.App, **options: object) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker, and stop it at the end.

    It looks for jobs every second besides hearing of them: procrastinate forgets a NOTIFY that comes while it
    looks.
    """
    options = {"install_signal_handlers": False, "fetch_job_polling_interval": 1.0, **options}
    worker = asyncio.create_task(app.run_worker_async(**options))
    try:
        yield worker
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
