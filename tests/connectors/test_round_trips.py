"""One round trip per query, counted between client and server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.demo.proxy import CountingProxy
from tests.servers import ASYNC_KINDS, KINDS, app, connector

WARM = 12
"""Calls until a connection has done all that it does once: psycopg prepares statements after five times."""


@pytest.fixture
def proxy(server: EmbeddedPostgres) -> Iterator[CountingProxy]:
    with CountingProxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def through_proxy(address: dict[str, str], proxy: CountingProxy) -> dict[str, str]:
    return {**address, "port": str(proxy.port)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_synchronous_defer_is_one_round_trip(kind, through_proxy, proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))
    with jobs.open():
        for _ in range(WARM):
            jobs.tasks["work"].defer()
        before = proxy.round_trips
        for _ in range(20):
            jobs.tasks["work"].defer()
        assert proxy.round_trips - before == 20


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_an_asynchronous_defer_is_one_round_trip(kind, through_proxy, proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            for _ in range(WARM):
                await jobs.tasks["work"].defer_async()
            before = proxy.round_trips
            for _ in range(20):
                await jobs.tasks["work"].defer_async()
            assert proxy.round_trips - before == 20

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_job_worked_is_two_round_trips(kind, through_proxy, proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def round_trips(number):
        await jobs.tasks["work"].batch_defer_async(*[{"argument": 0}] * number)
        before = proxy.round_trips
        await jobs.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)
        return proxy.round_trips - before

    async def scenario():
        async with jobs.open_async():
            for _ in range(WARM):
                await round_trips(1)
            return [await round_trips(number) for number in (10, 40)]

    few, many = asyncio.run(scenario())
    assert many - few == 2 * 30


@pytest.mark.parametrize("kind", KINDS)
def test_opening_makes_no_round_trip_of_its_own(kind, through_proxy, proxy):
    sync = connector(kind, through_proxy, min_size=3).get_sync_connector()
    sync.open()
    sync.close()
    assert proxy.round_trips == 0


@pytest.mark.parametrize("kind", KINDS)
def test_long_idle_connection_is_pinged(kind, through_proxy, proxy):
    sync = connector(kind, through_proxy, min_size=1, check_after=0.0).get_sync_connector()
    sync.open()
    for _ in range(WARM):
        sync.execute_query("SELECT 1")
    before = proxy.round_trips
    for _ in range(10):
        sync.execute_query("SELECT 1")
    assert proxy.round_trips - before == 2 * 10
    sync.close()
