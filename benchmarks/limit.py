"""The limit: the same work on open connections in autocommit mode, without pool and procrastinate.

Every function takes the driver: psycopg's is the limit, and the kind's own the raw driver that its CPU time
is compared with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from statistics import median
from time import perf_counter

import psycopg
from procrastinate.manager import get_channel_for_queues
from psycopg.sql import SQL, Identifier

from benchmarks.drivers import PSYCOPG, AsyncDriver, ExecuteAsync, SyncDriver
from benchmarks.queries import (
    DEFER,
    QUERY,
    defer_arguments,
    defer_jobs,
    fetch_job,
    finish_job,
    register_worker,
    work_job_async,
)
from benchmarks.work import (
    BATCH,
    IDLE,
    THREADS,
    AsyncWork,
    LoopFactory,
    Opened,
    Stopwatch,
    Time,
    Work,
    on_a_loop,
    repeated,
    repeated_async,
    spread_over,
)


@contextmanager
def query(dsn: str, driver: SyncDriver) -> Iterator[Work]:
    """Execute a query."""
    with driver.connect(dsn) as execute:
        yield repeated(lambda: execute(QUERY, None))


@contextmanager
def defer(dsn: str, driver: SyncDriver, jobs: int = 1) -> Iterator[Work]:
    """Defer `jobs` jobs with each query."""
    with driver.connect(dsn) as execute:
        yield repeated(lambda: execute(DEFER, defer_arguments(jobs, driver)))


def batch_defer(dsn: str, driver: SyncDriver) -> Opened:
    """Defer jobs in batches."""
    return defer(dsn, driver, BATCH)


@contextmanager
def defer_from_threads(dsn: str, driver: SyncDriver) -> Iterator[Work]:
    """Defer jobs from many threads, each with a connection."""
    with ExitStack() as stack, ThreadPoolExecutor(THREADS) as threads:
        yield spread_over(threads, [stack.enter_context(defer(dsn, driver)) for _ in range(THREADS)])


def query_async(dsn: str, driver: AsyncDriver) -> Opened:
    """Execute a query, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with driver.connect(dsn) as execute:
            yield repeated_async(lambda: execute(QUERY, None))

    return on_a_loop(opened())


def defer_async(
    dsn: str, driver: AsyncDriver, loop_factory: LoopFactory | None = None, jobs: int = 1
) -> Opened:
    """Defer `jobs` jobs with each query, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with driver.connect(dsn) as execute:
            yield repeated_async(lambda: execute(DEFER, defer_arguments(jobs, driver)))

    return on_a_loop(opened(), loop_factory)


def batch_defer_async(dsn: str, driver: AsyncDriver) -> Opened:
    """Defer jobs in batches, asynchronously."""
    return defer_async(dsn, driver, jobs=BATCH)


def worker(dsn: str, driver: AsyncDriver, concurrency: int) -> Opened:
    """Fetch and finish jobs, `concurrency` at a time, each on a connection; asynchronously as workers do."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        async with AsyncExitStack() as stack:
            registering = stack.enter_context(PSYCOPG.connect(dsn))
            connections = [await stack.enter_async_context(driver.connect(dsn)) for _ in range(concurrency)]

            async def work(times: int) -> Time:
                worker_id = register_worker(registering)  # a real worker removes stalled workers
                remaining = iter(range(times))  # shared, so that whoever is free takes the next job

                async def work_next(execute: ExecuteAsync) -> None:
                    for _ in remaining:
                        await work_job_async(execute, worker_id)

                stopwatch = Stopwatch()
                await asyncio.gather(*map(work_next, connections))
                return stopwatch.stop()

            yield work

    return on_a_loop(opened())


@contextmanager
def wake_up(dsn: str, driver: SyncDriver, deferring_dsn: str) -> Iterator[Work]:
    """Fetch a job after its notification; then finish it, which is not part of the time."""
    [channel] = get_channel_for_queues()
    with (
        PSYCOPG.connect(deferring_dsn) as deferring,
        psycopg.connect(dsn, autocommit=True) as listening,
        driver.connect(dsn) as execute,
    ):
        listening.execute(SQL("LISTEN {}").format(Identifier(channel)))

        def work(times: int) -> Time:
            worker_id = register_worker(execute)
            taken = []
            for _ in range(times):
                list(listening.notifies(timeout=IDLE))  # of the other contenders' turns
                started = perf_counter()
                defer_jobs(deferring, 1)
                assert list(listening.notifies(timeout=30, stop_after=1))
                job = fetch_job(execute, worker_id)
                taken.append(perf_counter() - started)
                finish_job(execute, job)
            return Time(times * median(taken))

        yield work
