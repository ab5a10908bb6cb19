"""A worker's queries are limited in time without a timer for each."""

from __future__ import annotations

import asyncio

import pytest
from procrastinate import sql

from tests.servers import ASYNC_KINDS, connector

HEARTBEAT = sql.queries["update_heartbeat"]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_workers_queries_share_one_timer(kind, server, database, monkeypatch):
    ours = connector(kind, server.parameters(database), min_size=1)

    async def scenario():
        loop = asyncio.get_running_loop()
        schedule, scheduled = loop.call_later, []

        def recorded(delay, callback, *arguments, **options):
            if getattr(callback, "__module__", "").startswith("procrastinate_conn"):
                scheduled.append(callback)
            return schedule(delay, callback, *arguments, **options)

        await ours.open_async()
        await ours.execute_query_async(HEARTBEAT, worker_id=1)
        monkeypatch.setattr(loop, "call_later", recorded)
        started = loop.time()
        for _ in range(20):
            await ours.execute_query_async(HEARTBEAT, worker_id=1)
        seconds = loop.time() - started
        await ours.close_async()
        assert len(scheduled) <= 1 + seconds  # one a second, however many queries there are

    asyncio.run(scenario())
