"""Packets are dropped without a word: calls end within the time that TCP is given, and the worker goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown
from tests.conftest import apply_schema
from tests.faults.job_tracker import UNFINISHED, JobTracker, working
from tests.faults.networks import EVERY_PORT, FarPostgres, LossyNetwork, why_not
from tests.servers import ASYNC_KINDS, KINDS, Observer, app, connector, soon, wait_until

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

SHORT_TIMEOUTS = {
    "connect_timeout": "2",
    "keepalives": "1",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "2",
    "tcp_user_timeout": "2500",
}
WITHIN = 8.0
"""Seconds in which that notices a silent peer, and a connection is made anew; generous."""


@pytest.fixture(scope="module")
def far_server() -> Iterator[FarPostgres]:
    with LossyNetwork() as network, FarPostgres(network) as server:
        apply_schema(server, server.create_database("template"))
        yield server


@pytest.fixture
def far(far_server) -> Iterator[FarPostgres]:
    """A server behind a network that can lose packets."""
    yield far_server
    far_server.network.heal()


@pytest.fixture
def far_database(far) -> str:
    return far.create_database(template="template")


@pytest.mark.parametrize("kind", KINDS)
def test_calls_on_silenced_connections_end_in_time(kind, far, far_database):
    """A call that sends into the silence fails; those that come later go through."""
    address = {**far.parameters(far_database), **SHORT_TIMEOUTS}
    jobs = app(connector(kind, address, min_size=2, timeout=20))
    tracker = JobTracker(jobs)
    with jobs.open(), tracker.in_threads(3):
        tracker.goes_on()
        assert far.silence_clients(far_database) == 2
        tracker.goes_on()
    assert tracker.longest < WITHIN
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
    assert len(tracker.failed) <= 2  # one for each connection
    far.network.heal()
    tracker.stored_once(Observer(far, far_database))


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_asynchronous_calls_on_silenced_connections_end_in_time(kind, far, far_database):
    address = {**far.parameters(far_database), **SHORT_TIMEOUTS}
    jobs = app(connector(kind, address, min_size=2, timeout=20))
    tracker = JobTracker(jobs)

    async def scenario():
        async with jobs.open_async(), tracker.in_tasks(3):
            await tracker.goes_on_async()
            assert far.silence_clients(far_database) == 2
            await tracker.goes_on_async()

    asyncio.run(scenario())
    assert tracker.longest < WITHIN
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
    assert len(tracker.failed) <= 2
    far.network.heal()
    tracker.stored_once(Observer(far, far_database))


@pytest.mark.parametrize("kind", KINDS)
def test_pending_query_on_a_silenced_connection_ends_in_time(kind, far, far_database):
    address = {**far.parameters(far_database), **SHORT_TIMEOUTS}
    jobs = app(connector(kind, address, min_size=1, timeout=20).get_sync_connector())
    tracker = JobTracker(jobs)
    waiting = "SELECT client_port FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    with jobs.open(), tracker.in_threads(1), far.connect(far_database) as blocker:
        with blocker.transaction():
            blocker.execute("LOCK TABLE procrastinate_jobs")
            wait_until(lambda: blocker.execute(waiting, [far_database]).fetchone())
            far.network.silence(blocker.execute(waiting, [far_database]).fetchone())
            wait_until(lambda: tracker.failed)
        tracker.goes_on()
    assert [type(error) for error in tracker.failed.values()] == [OutcomeUnknown]
    assert tracker.longest < WITHIN


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_idle_worker_listens_again_after_silence(kind, far, far_database):
    """All its connections are silenced; it hears of a job all the same, long before it would look for one."""
    address = {**far.parameters(far_database), **SHORT_TIMEOUTS}
    worker = app(connector(kind, address, min_size=2, timeout=20))
    deferrer = app(connector("sync-psycopg", address, min_size=1))

    async def scenario():
        async with worker.open_async(), working(worker, fetch_job_polling_interval=600) as running:
            await soon(lambda: listeners(far, far_database) == 1)
            assert far.silence_clients(far_database) == 3
            await soon(lambda: listeners(far, far_database) == 2, within=2 * WITHIN)  # one is a ghost
            await asyncio.sleep(1)  # it looks for jobs, and forgets a NOTIFY that comes meanwhile
            with deferrer.open():
                await asyncio.to_thread(deferrer.tasks["work"].defer, argument="received")
            await soon(lambda: worker.worked, within=WITHIN)
            assert not running.done()

    asyncio.run(scenario())
    assert worker.worked == ["received"]


def listeners(server, database):
    """Return how many sessions listen, on a connection of one moment to another database."""
    with server.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^LISTEN' AND datname = %s"
        return connection.execute(query, [database]).fetchone()[0]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_busy_worker_continues_after_a_network_outage(kind, far, far_database):
    address = {**far.parameters(far_database), **SHORT_TIMEOUTS}
    worker, deferrer = (app(connector(kind, address, min_size=2, timeout=30)) for _ in range(2))
    tracker = JobTracker(deferrer)

    async def scenario():
        async with worker.open_async(), deferrer.open_async(), working(worker, concurrency=3) as running:
            async with tracker.in_tasks(3):
                await tracker.goes_on_async()
                far.network.silence([EVERY_PORT])
                await asyncio.sleep(5)
                far.network.heal()
                await tracker.goes_on_async()
            observer = Observer(far, far_database)
            await soon(lambda: observer.one(UNFINISHED) == 0)
            assert not running.done()
            return tracker.stored_once(observer)

    stored = asyncio.run(scenario())
    assert sorted(worker.worked) == stored
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
