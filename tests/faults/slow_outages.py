"""Outages of the length that users report, with the settings that make_connector() gives."""

from __future__ import annotations

import asyncio

import pytest
from procrastinate import App

from procrastinate_conn import make_connector
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown
from tests.conftest import apply_schema
from tests.faults.job_tracker import UNFINISHED, JobTracker, working
from tests.faults.networks import FarPostgres, LossyNetwork, why_not
from tests.faults.test_outages import outage
from tests.servers import ASYNC_KINDS, KINDS, Observer, app, soon

REASON = why_not()


async def both_go_on(tracker: JobTracker, worker: App) -> None:
    """Wait until deferrers and worker are at work: each pool tries again every few seconds, on its own."""
    worked = len(worker.worked)
    await tracker.goes_on_async()
    await soon(lambda: len(worker.worked) >= worked + 20)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_and_deferrers_outlive_35_seconds_twice(kind, stoppable_server, stoppable_database):
    """`timeout` says that they should; `reconnect_timeout` ends much earlier."""
    pool = {"timeout": 60, "reconnect_timeout": 10}
    dsn = stoppable_server.dsn(stoppable_database)
    worker, deferrer = (app(make_connector(kind, dsn=dsn, pool=pool, env_file=None)) for _ in range(2))
    tracker = JobTracker(deferrer)

    async def scenario():
        async with worker.open_async(), deferrer.open_async(), working(worker, concurrency=3) as running:
            async with tracker.in_tasks(3):
                for _ in range(2):
                    await both_go_on(tracker, worker)
                    await outage(stoppable_server, "fast", 35)
                await both_go_on(tracker, worker)
            observer = Observer(stoppable_server, stoppable_database)
            await soon(lambda: observer.one(UNFINISHED) == 0)
            assert not running.done()
            return tracker.stored_once(observer)

    stored = asyncio.run(scenario())
    assert sorted(worker.worked) == stored
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
    assert len(tracker.failed) <= 2 * 3


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("kind", KINDS)
def test_the_resilient_defaults_end_silence_within_30_seconds(kind):
    with LossyNetwork() as network, FarPostgres(network) as far:
        apply_schema(far, far.create_database("jobs"))
        jobs = app(make_connector(kind, dsn=far.dsn("jobs"), pool={"min_size": 2}, env_file=None))
        tracker = JobTracker(jobs)
        with jobs.open(), tracker.in_threads(2):
            tracker.goes_on()
            assert far.silence_clients("jobs") == 2
            tracker.goes_on()
        network.heal()
        tracker.stored_once(Observer(far, "jobs"))
    assert tracker.longest < 30 + 3
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
