"""The primary dies and its standby takes over: everybody goes to the new primary by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.faults.job_tracker import UNFINISHED, JobTracker, working
from tests.servers import ASYNC_KINDS, KINDS, Observer, app, connector, soon


@pytest.fixture
def pair() -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """A primary, whose database ``jobs`` has the schema, and a standby that has all that is confirmed."""
    with EmbeddedPostgres(settings={"synchronous_commit": "on"}) as primary:
        apply_schema(primary, primary.create_database("jobs"))
        with EmbeddedPostgres(primary=primary) as standby:
            with primary.connect() as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            yield primary, standby


def both(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> dict[str, str]:
    """Return the address of whichever of the two can be written to."""
    return {
        **primary.parameters("jobs"),
        "host": f"{standby.host},{primary.host}",
        "port": f"{standby.port},{primary.port}",
        "target_session_attrs": "read-write",
        "connect_timeout": "2",
    }


def fails_over(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """Let the primary crash, and a second later the standby take over."""
    primary.stop("immediate")
    time.sleep(1)
    standby.run_command("pg_ctl", "promote", "-w", "-D", standby.data)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_and_deferrers_go_to_the_new_primary(kind, pair):
    primary, standby = pair
    deferrer, worker = (app(connector(kind, both(*pair), min_size=2, timeout=60)) for _ in range(2))
    tracker = JobTracker(deferrer)

    async def scenario():
        async with deferrer.open_async(), worker.open_async(), working(worker, concurrency=3) as running:
            async with tracker.in_tasks(3):
                await tracker.goes_on_async()
                await asyncio.to_thread(fails_over, primary, standby)
                await tracker.goes_on_async()
            observer = Observer(standby, "jobs")
            stored = tracker.stored_once(observer)
            await soon(lambda: observer.one(UNFINISHED) == 0, within=40)
            await soon(observer.listens)
            assert not running.done()
        return stored

    stored = asyncio.run(scenario())
    assert sorted(worker.worked) == stored
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}


@pytest.mark.parametrize("kind", KINDS)
def test_threads_go_to_the_new_primary(kind, pair):
    deferrer = app(connector(kind, both(*pair), min_size=2, timeout=60))
    tracker = JobTracker(deferrer)
    with deferrer.open(), tracker.in_threads(3):
        tracker.goes_on()
        fails_over(*pair)
        tracker.goes_on()
    tracker.stored_once(Observer(pair[1], "jobs"))
    assert {type(error) for error in tracker.failed.values()} <= {OutcomeUnknown}
