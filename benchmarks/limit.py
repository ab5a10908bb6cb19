"""The limit: the same work on open psycopg connections in autocommit mode, without pool and procrastinate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from statistics import median
from time import perf_counter

from procrastinate.manager import get_channel_for_queues
from psycopg.sql import SQL, Identifier

from benchmarks.queries import (
    DEFER,
    arguments,
    connect,
    connect_async,
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
    Opened,
    Work,
    on_a_loop,
    repeated,
    repeated_async,
    spread_over,
)


@contextmanager
def defer(dsn: str, jobs: int = 1) -> Iterator[Work]:
    """Defer `jobs` jobs with each query."""
    parameters = arguments(jobs)
    with connect(dsn) as connection:
        yield repeated(lambda: connection.execute(DEFER, parameters).fetchall())


def batch_defer(dsn: str) -> Opened:
    """Defer jobs in batches."""
    return defer(dsn, BATCH)


@contextmanager
def defer_from_threads(dsn: str) -> Iterator[Work]:
    """Defer jobs from many threads, each with a connection."""
    with ExitStack() as stack, ThreadPoolExecutor(THREADS) as threads:
        yield spread_over(threads, [stack.enter_context(defer(dsn)) for _ in range(THREADS)])


def defer_async(dsn: str, jobs: int = 1) -> Opened:
    """Defer `jobs` jobs with each query, asynchronously."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        parameters = arguments(jobs)
        async with await connect_async(dsn) as connection:

            async def once() -> None:
                await (await connection.execute(DEFER, parameters)).fetchall()

            yield repeated_async(once)

    return on_a_loop(opened())


def batch_defer_async(dsn: str) -> Opened:
    """Defer jobs in batches, asynchronously."""
    return defer_async(dsn, BATCH)


def worker(dsn: str) -> Opened:
    """Fetch and finish jobs, one after the other, asynchronously as every worker does."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWork]:
        with connect(dsn) as registering:
            async with await connect_async(dsn) as connection:

                async def work(times: int) -> float:
                    worker_id = register_worker(registering)  # a real worker removes stalled workers
                    return await repeated_async(lambda: work_job_async(connection, worker_id))(times)

                yield work

    return on_a_loop(opened())


@contextmanager
def wake_up(dsn: str, deferring_dsn: str) -> Iterator[Work]:
    """Fetch a job after its notification; then finish it, which is not part of the time."""
    [channel] = get_channel_for_queues()
    with connect(deferring_dsn) as deferring, connect(dsn) as listening, connect(dsn) as connection:
        listening.execute(SQL("LISTEN {}").format(Identifier(channel)))

        def work(times: int) -> float:
            worker_id = register_worker(connection)
            taken = []
            for _ in range(times):
                list(listening.notifies(timeout=IDLE))  # of the other contenders' turns
                started = perf_counter()
                defer_jobs(deferring, 1)
                assert list(listening.notifies(timeout=30, stop_after=1))
                job = fetch_job(connection, worker_id)
                taken.append(perf_counter() - started)
                finish_job(connection, job)
            return times * median(taken)

        yield work
