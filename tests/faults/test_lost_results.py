"""The connection is lost after the server has executed a query, and before its result arrives."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime import disconnects, retry
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import ConnectorKind
from tests.conftest import apply_schema
from tests.faults.job_tracker import UNFINISHED, working
from tests.servers import ASYNC_KINDS, SYNC_KINDS, Observer, app, connector, soon


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_defer_with_a_lost_result_is_reported_and_not_repeated(kind, observer, proxy, through_proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))
    with jobs.open():
        proxy.lose(b"defer_jobs")
        with pytest.raises(ConnectorException, match="may have had its effect or not") as caught:
            jobs.tasks["work"].defer(argument=1)
        assert caught.value.__cause__ is not None
        jobs.tasks["work"].defer(argument=2)
    assert proxy.lost == 1
    assert observer.jobs() == [1, 2]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_worker_loses_no_job_with_a_lost_result(kind, concurrency, observer, proxy, through_proxy):
    """Jobs fetched are worked though the worker was not told which; jobs finished are finished once."""
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            await jobs.tasks["work"].batch_defer_async(*({"argument": number} for number in range(12)))
            proxy.lose(*[b"fetch_job", b"finish_job"] * 3)
            async with working(jobs, concurrency=concurrency, update_heartbeat_interval=0.2) as worker:
                await soon(lambda: observer.one(UNFINISHED) == 0)
                proxy.lose(b"update_heartbeat")
                await soon(lambda: proxy.lost == 7)
                await jobs.tasks["work"].defer_async(argument=12)
                await soon(lambda: observer.one(UNFINISHED) == 0)
                assert not worker.done()

    asyncio.run(scenario())
    assert sorted(jobs.worked) == list(range(13))
    assert observer.one("SELECT max(attempts) FROM procrastinate_jobs") == 1


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_job_is_retried_once_if_the_result_is_lost(kind, observer, proxy, through_proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))
    started = []

    @jobs.task(name="fails first", pass_context=True, retry=2)
    def fails_first(context):
        started.append(context.job.attempts)
        if len(started) == 1:
            raise RuntimeError("once")

    async def scenario():
        async with jobs.open_async():
            await fails_first.defer_async()
            proxy.lose(b"retry_job", b"procrastinate_jobs WHERE id", b"retry_job")
            async with working(jobs):
                await soon(lambda: observer.one(UNFINISHED) == 0)

    asyncio.run(scenario())
    assert started == [0, 1]
    assert proxy.lost == 2


SLOWLY = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END';
CREATE TRIGGER slowly BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW WHEN ({}) EXECUTE FUNCTION slowly()
"""


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_job_fetched_after_its_fetch_was_lost_is_worked(kind, observer, proxy, through_proxy):
    """The worker is asked about what it has fetched by then, which is another one."""
    observer.connection.execute(SLOWLY.format("NEW.status = 'doing' AND NEW.args->>'argument' = '0'"))
    proxy.closes_at_once = True
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            await jobs.tasks["work"].batch_defer_async(*({"argument": number} for number in range(3)))
            proxy.lose(b"fetch_job")
            async with working(jobs):
                await soon(lambda: 1 in jobs.worked and 2 in jobs.worked)
                await jobs.tasks["work"].defer_async(argument=3)
                await soon(lambda: observer.one(UNFINISHED) == 0)

    asyncio.run(scenario())
    assert sorted(jobs.worked) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_retry_completed_after_its_result_was_lost_is_accepted(kind, observer, proxy, through_proxy, caplog):
    observer.connection.execute(SLOWLY.format("NEW.status = 'todo'"))
    proxy.closes_at_once = True
    jobs = app(connector(kind, through_proxy, min_size=1))
    started = []

    @jobs.task(name="fails first", retry=2)
    def fails_first():
        started.append(1)
        if len(started) == 1:
            raise RuntimeError("once")

    async def scenario():
        async with jobs.open_async():
            await fails_first.defer_async()
            proxy.lose(b"retry_job")
            async with working(jobs):
                await soon(lambda: observer.one(UNFINISHED) == 0)

    asyncio.run(scenario())
    assert len(started) == 2
    assert "Job was not found" not in caplog.text


def fails_once(jobs):
    """Return a task that fails in its first run and then takes a second, and the list of its runs."""
    started = []

    @jobs.task(name="fails once", retry=2)
    async def task():
        started.append(1)
        if len(started) == 1:
            raise RuntimeError("once")
        await asyncio.sleep(1)

    return task, started


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_retry_is_not_repeated_for_a_job_that_was_fetched_again(
    kind, observer, proxy, through_proxy, monkeypatch
):
    """It would be retried while it runs, by the same worker."""
    monkeypatch.setattr(retry, "growing_pauses", lambda: repeat(0.5))
    jobs = app(connector(kind, through_proxy, min_size=1))
    task, started = fails_once(jobs)

    async def scenario():
        async with jobs.open_async():
            await task.defer_async()
            proxy.lose(b"retry_job")
            async with working(jobs, concurrency=3, fetch_job_polling_interval=0.1):
                await soon(lambda: observer.one(UNFINISHED) == 0)

    asyncio.run(scenario())
    assert (proxy.lost, len(started)) == (1, 2)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_job_fetched_before_the_result_of_its_retry_stays_in_flight(kind, observer, proxy, through_proxy):
    """In the minute after a fetch was lost, it would be taken for one that was fetched without knowing it."""
    jobs = app(connector(kind, through_proxy, min_size=2, max_size=4))
    task, started = fails_once(jobs)

    async def scenario():
        async with jobs.open_async():
            await task.defer_async()
            proxy.lose(b"fetch_job")
            proxy.delay(0.5, b"retry_job")
            async with working(jobs, concurrency=3, fetch_job_polling_interval=0.1):
                await soon(lambda: observer.one(UNFINISHED) == 0)

    asyncio.run(scenario())
    assert (proxy.lost, proxy.delayed, len(started)) == (1, 1, 2)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_ends_after_a_limited_number_of_lost_results(kind, proxy, through_proxy, monkeypatch):
    monkeypatch.setattr(retry, "growing_pauses", lambda: repeat(0.05))
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            proxy.lose(*[b"fetch_job"] * 3, *[b"procrastinate_jobs WHERE worker_id"] * 100)
            async with working(jobs) as worker:
                async with asyncio.timeout(60):
                    with pytest.raises(ConnectorException, match="may have had its effect or not"):
                        await worker

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def slow_to_commit() -> Iterator[EmbeddedPostgres]:
    """A server that takes 30 ms to commit, and then logs how long a statement took."""
    settings = {"commit_delay": "30000", "commit_siblings": "0", "fsync": "on", "log_duration": "on"}
    with EmbeddedPostgres(settings={**settings, "synchronous_commit": "on"}) as server:
        apply_schema(server, server.create_database("template"))
        yield server


def terminate_while_deferring(observer: Observer, stop: threading.Event) -> None:
    """End every session that defers a job, while it commits."""
    deferring = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%defer_jobs%%'"
    while not stop.is_set():
        for (pid,) in observer.connection.execute(f"{deferring} AND pid <> pg_backend_pid()").fetchall():
            time.sleep(0.012)
            observer.connection.execute("SELECT pg_terminate_backend(%s)", [pid])
            time.sleep(0.05)


def with_client_cursors(connection):
    connection.cursor_factory = psycopg.ClientCursor


@pytest.mark.parametrize(
    ("kind", "options"),
    [*((kind, {}) for kind in SYNC_KINDS), (ConnectorKind.SYNC_PSYCOPG, {"configure": with_client_cursors})],
    ids=[*SYNC_KINDS, "sync-psycopg in the simple protocol"],
)
def test_job_committed_before_its_session_is_terminated_is_not_deferred_twice(
    kind, options, slow_to_commit, monkeypatch
):
    """The server says so where it logs a duration, which comes behind the commit in the simple protocol."""
    monkeypatch.setattr(disconnects, "SHUTDOWN_RACE_WINDOW", 5.0)  # on a busy machine, too
    database = slow_to_commit.create_database(template="template")
    observer, stop = Observer(slow_to_commit, database), threading.Event()
    jobs = app(connector(kind, slow_to_commit.parameters(database), min_size=1, **options))
    told = []
    with observer.connection, ThreadPoolExecutor(1) as threads, jobs.open():
        ending = threads.submit(terminate_while_deferring, Observer(slow_to_commit, database), stop)
        for number in range(10):
            try:
                jobs.tasks["work"].defer(argument=number)
            except ConnectorException:
                told.append(number)
        stop.set()
        ending.result()
        deferred = observer.jobs()
    assert sorted(set(deferred)) == deferred
    assert {*range(10)} - {*told} <= {*deferred}
