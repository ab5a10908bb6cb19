"""Connections that die in the pool: nobody notices, nothing is done twice, no slot is lost."""

from __future__ import annotations

import asyncio

import pytest

from procrastinate_conn.connectors.stats import pool_stats
from tests.servers import ASYNC_KINDS, KINDS, app, connector, soon, wait_until

ROUNDS, CALLS = 15, 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unix_socket", [False, True], ids=["tcp", "unix"])
def test_terminated_backends_fail_no_synchronous_call(kind, unix_socket, server, database, observer):
    jobs = app(connector(kind, server.parameters(database, unix_socket=unix_socket), min_size=4))
    with jobs.open():
        for round_ in range(ROUNDS):
            assert observer.terminate() == 4
            for call in range(CALLS):
                jobs.tasks["work"].defer(argument=CALLS * round_ + call)
            wait_until(lambda: observer.backends() == 4)
        stats = pool_stats(jobs.connector)
    assert observer.jobs() == list(range(ROUNDS * CALLS))
    assert (stats.size, stats.connections_lost, stats.requests) == (4, 4 * ROUNDS, ROUNDS * CALLS)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_terminated_backends_fail_no_asynchronous_call(kind, address, observer):
    jobs = app(connector(kind, address, min_size=4))

    async def scenario():
        async with jobs.open_async():
            for round_ in range(ROUNDS):
                assert observer.terminate() == 4
                for call in range(CALLS):
                    await jobs.tasks["work"].defer_async(argument=CALLS * round_ + call)
                await soon(lambda: observer.backends() == 4)
            return pool_stats(jobs.connector)

    stats = asyncio.run(scenario())
    assert observer.jobs() == list(range(ROUNDS * CALLS))
    assert (stats.size, stats.connections_lost, stats.requests) == (4, 4 * ROUNDS, ROUNDS * CALLS)
