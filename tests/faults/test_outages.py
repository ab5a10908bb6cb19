"""The server is away for longer than the pool tries to connect: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import ConnectorKind
from tests.faults.job_tracker import UNFINISHED, JobTracker, working
from tests.servers import ASYNC_KINDS, SYNC_KINDS, Observer, app, connector, soon

DEFERRERS = 3
LONG_TIMEOUT = {"min_size": 2, "max_size": 4, "timeout": 60, "reconnect_timeout": 1}
"""Callers wait for much longer than the pool tries to connect before it gives up."""


async def outage(server: EmbeddedPostgres, mode: str, seconds: float) -> None:
    """Stop a server, and start it again after so many seconds."""
    await asyncio.to_thread(server.stop, mode)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)


async def outages_under_a_worker(kind, server, database, *, modes=("fast", "immediate"), seconds=1.5):
    """Take the server away under a worker and deferrers, and return the tracker and the jobs."""
    address = server.parameters(database)
    deferrer, worker = (app(connector(kind, address, **LONG_TIMEOUT)) for _ in range(2))
    tracker = JobTracker(deferrer)
    async with deferrer.open_async(), worker.open_async(), working(worker, concurrency=3) as running:
        async with tracker.in_tasks(DEFERRERS):
            for mode in modes:
                await tracker.goes_on_async()
                await outage(server, mode, seconds)
                await tracker.goes_on_async()
        observer = Observer(server, database)
        stored = tracker.stored_once(observer)
        await soon(lambda: len(worker.worked) >= len(stored))
        await deferrer.tasks["work"].defer_async(argument="by NOTIFY")
        await soon(lambda: "by NOTIFY" in worker.worked)
        await soon(lambda: observer.one(UNFINISHED) == 0)
        assert not running.done()
    worker.worked.remove("by NOTIFY")
    return tracker, stored, worker.worked


def only_results_were_lost(tracker: JobTracker) -> None:
    """Make sure that nobody waited in vain: those calls alone failed whose query was with the server.

    There is one for each deferrer and outage at most.
    """
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
    assert len(tracker.failed) <= 2 * DEFERRERS


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_and_deferrers_outlive_a_server_that_is_switched_off_and_one_that_crashes(
    kind, stoppable_server, stoppable_database
):
    scenario = outages_under_a_worker(kind, stoppable_server, stoppable_database)
    tracker, stored, worked = asyncio.run(scenario)
    only_results_were_lost(tracker)
    assert sorted(worked) == stored


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_threads_outlive_a_server_that_is_switched_off_twice(kind, stoppable_server, stoppable_database):
    deferrer = app(connector(kind, stoppable_server.parameters(stoppable_database), **LONG_TIMEOUT))
    tracker = JobTracker(deferrer)
    with deferrer.open(), tracker.in_threads(DEFERRERS):
        for _ in range(2):
            tracker.goes_on()
            asyncio.run(outage(stoppable_server, "fast", 1.5))
            tracker.goes_on()
    only_results_were_lost(tracker)
    tracker.stored_once(Observer(stoppable_server, stoppable_database))


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_a_server_restarted_between_calls_fails_none(kind, stoppable_server, stoppable_database):
    deferrer = app(connector(kind, stoppable_server.parameters(stoppable_database), min_size=4))
    with deferrer.open():
        for round_ in range(2):
            for call in range(8):
                deferrer.tasks["work"].defer(argument=8 * round_ + call)
            stoppable_server.restart()
    assert Observer(stoppable_server, stoppable_database).jobs() == list(range(16))


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_server_restarted_between_asynchronous_calls_fails_none(kind, stoppable_server, stoppable_database):
    deferrer = app(connector(kind, stoppable_server.parameters(stoppable_database), min_size=4))

    async def scenario():
        async with deferrer.open_async():
            for round_ in range(2):
                for call in range(8):
                    await deferrer.tasks["work"].defer_async(argument=8 * round_ + call)
                await asyncio.to_thread(stoppable_server.restart)

    asyncio.run(scenario())
    assert Observer(stoppable_server, stoppable_database).jobs() == list(range(16))


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_deferrals_and_the_listener_on_an_engine_of_the_application_heal_after_a_restart(
    driver, stoppable_server, stoppable_database
):
    server = stoppable_server
    url = f"postgresql+{driver}://{server.user}@{server.host}:{server.port}/{stoppable_database}"
    jobs = app(connector(ConnectorKind.SQLALCHEMY_ASYNC, {}))
    heard = []

    async def hear(*, channel, payload):
        heard.append(payload)

    async def defer_and_hear():
        await soon(Observer(server, stoppable_database).listens)
        heard.clear()
        await jobs.tasks["work"].defer_async()
        await soon(lambda: heard)

    async def scenario():
        engine = create_async_engine(url)
        async with jobs.open_async(engine):
            listener = asyncio.create_task(jobs.connector.listen_notify(hear, ["procrastinate_any_queue_v1"]))
            await defer_and_hear()
            await asyncio.to_thread(server.restart)
            await defer_and_hear()
            assert not listener.done()
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
        await engine.dispose()

    asyncio.run(scenario())
