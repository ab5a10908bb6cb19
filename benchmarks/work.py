"""The work that is measured: each function opens what it takes, and gives what does the work."""

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
"""Does something so many times, and returns the seconds that it took."""

AsyncWork = Callable[[int], Awaitable[float]]
Opened = AbstractContextManager[Work]

BATCH = 100
"""Jobs in a batch."""
THREADS = 32
IDLE = 0.1
"""Seconds that a worker gets to finish a job and to go back to waiting. It does not hear of a job that is
deferred while it still looks for the next one, and finds it when it polls."""
UNTIL_IT_LISTENS = 0.5
"""Seconds that it gets to start."""


def app_on(connector: BaseConnector, ran: Callable[[], object] = bool) -> procrastinate.App:
    """Return an application with one task.

    Parameters
    ----------
    connector
        Its connector.
    ran
        Called when the task runs.
    """
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
    """Defer jobs by the batch."""
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
    """Defer jobs by the batch, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with app_on(connector).open_async() as app:
            yield repeated_async(lambda: app.tasks[TASK].batch_defer_async(*[ARGUMENTS] * BATCH))

    return on_a_loop(opened())


def worker(connector: BaseConnector, concurrency: int) -> Opened:
    """Work the jobs that wait, so many at a time."""

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
    """Wake up a worker that has nothing to do: from deferring a job until it runs.

    Parameters
    ----------
    connector
        The worker's.
    deferring_dsn
        Where the jobs are deferred, on a connection of its own.
    """

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
                return times * median(taken)  # of which one may have had to wait for the poll

            async with app.open_async():
                waiting = app.run_worker_async(install_signal_handlers=False)
                running = asyncio.create_task(waiting)
                await asyncio.sleep(UNTIL_IT_LISTENS)
                yield work
                running.cancel()
                await asyncio.wait([running])

    return on_a_loop(opened())


def repeated(once: Callable[[], object]) -> Work:
    """Return the work of doing something several times."""

    def work(times: int) -> float:
        started = perf_counter()
        for _ in range(times):
            once()
        return perf_counter() - started

    return work


def repeated_async(once: Callable[[], Awaitable[object]]) -> AsyncWork:
    """Return the work of doing something asynchronous several times, one after the other."""

    async def work(times: int) -> float:
        started = perf_counter()
        for _ in range(times):
            await once()
        return perf_counter() - started

    return work


def spread_over(threads: ThreadPoolExecutor, works: list[Work]) -> Work:
    """Return work that is done in several threads, each of which does its share."""

    def work(times: int) -> float:
        started = perf_counter()
        shares = [threads.submit(one, times // len(works)) for one in works]
        for share in shares:
            share.result()
        return perf_counter() - started

    return work


@contextmanager
def on_a_loop(opened: AbstractAsyncContextManager[AsyncWork]) -> Iterator[Work]:
    """Run asynchronous work on one event loop, which keeps what the work opens between its runs.

    Parameters
    ----------
    opened
        Gives the work.
    """
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
