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
from time import perf_counter

import procrastinate
from procrastinate.connector import BaseConnector

from benchmarks.queries import ARGUMENTS, TASK, connect, defer_jobs

Work = Callable[[int], float]
"""Does something a number of times, and returns the seconds that it took."""

AsyncWork = Callable[[int], Awaitable[float]]
Opened = AbstractContextManager[Work]

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


def defer_async(connector: BaseConnector) -> Opened:
    """Defer jobs one by one, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with app_on(connector).open_async() as app:
            yield repeated_async(lambda: app.tasks[TASK].defer_async(**ARGUMENTS))

    return on_a_loop(opened())


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

            async def work(_times: int) -> float:
                started = perf_counter()
                await app.run_worker_async(
                    wait=False, concurrency=concurrency, listen_notify=False, install_signal_handlers=False
                )
                return perf_counter() - started

            yield work

    return on_a_loop(opened())


def wake_up(connector: BaseConnector, deferring_dsn: str) -> Opened:
    """Wake up an idle worker: the time from deferring a job, on another connection, until it runs."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        ran = asyncio.Event()
        app = app_on(connector, ran.set)
        with connect(deferring_dsn) as deferring:

            async def work(times: int) -> float:
                taken = []
                for _ in range(times):
                    await asyncio.sleep(IDLE)
                    ran.clear()
                    started = perf_counter()
                    defer_jobs(deferring, 1)
                    await asyncio.wait_for(ran.wait(), 30)
                    taken.append(perf_counter() - started)
                await asyncio.sleep(IDLE)
                return times * median(
                    taken
                )  # the median, since one of them may have had to wait for the poll

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

    def work(times: int) -> float:
        started = perf_counter()
        for _ in range(times):
            once()
        return perf_counter() - started

    return work


def repeated_async(once: Callable[[], Awaitable[object]]) -> AsyncWork:
    """Return work that awaits a function several times, one after the other."""

    async def work(times: int) -> float:
        started = perf_counter()
        for _ in range(times):
            await once()
        return perf_counter() - started

    return work


def spread_over(threads: ThreadPoolExecutor, works: list[Work]) -> Work:
    """Return work that is shared by several threads."""

    def work(times: int) -> float:
        started = perf_counter()
        shares = [threads.submit(one, times // len(works)) for one in works]
        for share in shares:
            share.result()
        return perf_counter() - started

    return work


@contextmanager
def on_a_loop(opened: AbstractAsyncContextManager[AsyncWork]) -> Iterator[Work]:
    """Run asynchronous work on one event loop, on which its connector stays open between the runs."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:

        async def run(times: int) -> float:
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
