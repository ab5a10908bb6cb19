"""A worker's own queries have a time limit, and what is not answered is treated as lost."""

from __future__ import annotations

import asyncio

import pytest
from procrastinate import sql

from tests.faults.job_tracker import working
from tests.servers import ASYNC_KINDS, app, connector, soon

HEARTBEAT = sql.queries["update_heartbeat"]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_fetch_without_a_response_is_looked_up_on_another_connection(kind, address, observer):
    """A lock keeps the first one from answering; it fetches the job later, and its worker does not know."""
    jobs = app(connector(kind, address, min_size=2, max_size=3, response_timeout=1.0))

    async def scenario():
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async(argument=1)
            observer.connection.execute("BEGIN; LOCK TABLE procrastinate_jobs IN ACCESS EXCLUSIVE MODE")
            async with working(jobs) as running:
                await asyncio.sleep(1.5)
                observer.connection.execute("ROLLBACK")
                await soon(lambda: jobs.worked == [1])
                assert not running.done()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_call_of_the_applications_has_no_such_limit(kind, address):
    ours = connector(kind, address, min_size=1, response_timeout=1.0)

    async def scenario():
        await ours.open_async()
        await ours.execute_query_async("SELECT pg_sleep(1.5)")
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_heartbeat_is_cancelled_though_it_gets_a_connection_at_that_moment(kind, address):
    """Otherwise its worker would never stop (github.com/psycopg/psycopg/issues/1345)."""
    ours = connector(kind, address, min_size=1, max_size=1)

    async def scenario():
        await ours.open_async()
        taken = await ours.own_pool.getconn()
        heartbeat = asyncio.create_task(ours.execute_query_async(HEARTBEAT, worker_id=1))
        await asyncio.sleep(0.05)
        await ours.own_pool.putconn(taken)
        heartbeat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await heartbeat
        await ours.execute_query_async("SELECT 1")
        await ours.close_async()

    asyncio.run(scenario())
