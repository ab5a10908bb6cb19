"""The measured work: each function opens its connector, and yields a function that does the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import procrastinate
from procrastinate.connector import BaseAsyncConnector, BaseConnector

from benchmarks.drivers import PSYCOPG
from benchmarks.queries import ARGUMENTS, QUERY, TASK, defer_jobs


class Time(NamedTuple):
    """What work took.

    Parameters
    ----------
    seconds
        The time that passed.
    cpu
        Seconds of CPU time, of all threads of this process; None if other work is included.
    """

    seconds: float
    cpu: float | None = None


class Stopwatch:
    """Measures the time from its making."""

    def __init__(self) -> None:
        self._cpu = process_time()
        self._started = perf_counter()

    def stop(self) -> Time:
        """Return the time until now."""
        return Time(perf_counter() - self._started, process_time() - self._cpu)


Work = Callable[[int], Time]
"""Does something a number of times, and returns the time that it took."""

AsyncWork = Callable[[int], Awaitable[Time]]
Opened = AbstractContextManager[Work]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

BATCH = 100
"""Jobs in a batch."""
THREADS = 32
IDLE = 0.1
"""Seconds for a worker to finish a job and to wait again. It misses the notification of a job that is
deferred while it fetches the next one, and finds that job when it polls."""
STARTING = 0.5
"""Seconds for a worker to start and to listen."""


def app_on(connector: BaseConnector, ran: Callable[[], object] = bool) -> procrastinate.App:
    """Return an application with one task, which calls `ran`."""
    app = procrastinate.App(connector=connector)

    @app.task(name=TASK)
    async def measured(**_arguments: object) -> None:
        ran()

    return app


@contextmanager
def query(connector: BaseConnector) -> Iterator[Work]:
    """Execute a query."""
    with app_on(connector).open():
        yield repeated(lambda: connector.execute_query_one(QUERY))


@contextmanager
def defer(connector: BaseConnector) -> Iterator[Work]:
    """Defer jobs one by one."""
    with app_on(connector).open() as app:
        yield repeated(lambda: app.tasks[TASK].defer(**ARGUMENTS))


@contextmanager
def batch_defer(connector: BaseConnector) -> Iterator[Work]:
    """Defer jobs in batches."""
    with app_on(connector).open() as app:
        yield repeated(lambda: app.tasks[TASK].batch_defer(*[ARGUMENTS] * BATCH))


@contextmanager
def defer_from_threads(connector: BaseConnector) -> Iterator[Work]:
    """Defer jobs from many threads at once."""
    with defer(connector) as work, ThreadPoolExecutor(THREADS) as threads:
        yield spread_over(threads, [work] * THREADS)


def query_async(connector: BaseAsyncConnector) -> Opened:
    """Execute a query, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with app_on(connector).open_async():
            yield repeated_async(lambda: connector.execute_query_one_async(QUERY))

    return on_a_loop(opened())


def defer_async(connector: BaseConnector, loop_factory: LoopFactory | None = None) -> Opened:
    """Defer jobs one by one, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with app_on(connector).open_async() as app:
            yield repeated_async(lambda: app.tasks[TASK].defer_async(**ARGUMENTS))

    return on_a_loop(opened(), loop_factory)


def batch_defer_async(connector: BaseConnector) -> Opened:
    """Defer jobs in batches, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with app_on(connector).open_async() as app:
            yield repeated_async(lambda: app.tasks[TASK].batch_defer_async(*[ARGUMENTS] * BATCH))

    return on_a_loop(opened())


def worker(connector: BaseConnector, concurrency: int) -> Opened:
    """Work the jobs in the queue, `concurrency` at a time."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with app_on(connector).open_async() as app:

            async def work(_times: int) -> Time:
                stopwatch = Stopwatch()
                await app.run_worker_async(
                    wait=False, concurrency=concurrency, listen_notify=False, install_signal_handlers=False
                )
                return stopwatch.stop()

            yield work

    return on_a_loop(opened())


def wake_up(connector: BaseConnector, deferring_dsn: str) -> Opened:
    """Wake up an idle worker: the time from deferring a job, on another connection, until it runs."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        ran = asyncio.Event()
        app = app_on(connector, ran.set)
        with PSYCOPG.connect(deferring_dsn) as deferring:

            async def work(times: int) -> Time:
                taken = []
                for _ in range(times):
                    await asyncio.sleep(IDLE)
                    ran.clear()
                    started = perf_counter()
                    defer_jobs(deferring, 1)
                    await asyncio.wait_for(ran.wait(), 30)
                    taken.append(perf_counter() - started)
                await asyncio.sleep(IDLE)
                # The median, since one of them may have had to wait for the poll.
                return Time(times * median(taken))

            async with app.open_async():
                waiting = app.run_worker_async(install_signal_handlers=False)
                running = asyncio.create_task(waiting)
                await asyncio.sleep(STARTING)
                yield work
                running.cancel()
                await asyncio.wait([running])

    return on_a_loop(opened())


def repeated(once: Callable[[], object]) -> Work:
    """Return work that calls a function several times."""

    def work(times: int) -> Time:
        stopwatch = Stopwatch()
        for _ in range(times):
            once()
        return stopwatch.stop()

    return work


def repeated_async(once: Callable[[], Awaitable[object]]) -> AsyncWork:
    """Return work that awaits a function several times, one after the other."""

    async def work(times: int) -> Time:
        stopwatch = Stopwatch()
        for _ in range(times):
            await once()
        return stopwatch.stop()

    return work


def spread_over(threads: ThreadPoolExecutor, works: list[Work]) -> Work:
    """Return work that is shared by several threads."""

    def work(times: int) -> Time:
        stopwatch = Stopwatch()
        shares = [threads.submit(one, times // len(works)) for one in works]
        for share in shares:
            share.result()
        return stopwatch.stop()

    return work


@contextmanager
def on_a_loop(
    opened: AbstractAsyncContextManager[AsyncWork], loop_factory: LoopFactory | None = None
) -> Iterator[Work]:
    """Run asynchronous work on one event loop, on which its connector stays open between the runs.

    The loop is asyncio's, unless there is a factory.
    """
    with asyncio.Runner(loop_factory=loop_factory or asyncio.SelectorEventLoop) as runner:

        async def run(times: int) -> Time:
            return await work(times)

        work = runner.run(_enter(opened))
        try:
            yield lambda times: runner.run(run(times))
        finally:
            runner.run(_leave(opened))


async def _enter(opened: AbstractAsyncContextManager[AsyncWork]) -> AsyncWork:
    return await opened.__aenter__()


async def _leave(opened: AbstractAsyncContextManager[AsyncWork]) -> None:
    await opened.__aexit__(None, None, None)
