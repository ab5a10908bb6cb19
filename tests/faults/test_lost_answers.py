"""The connection is lost after the server has done what it was asked for, and before it could say so."""

from __future__ import annotations

import asyncio

import pytest
from procrastinate.exceptions import ConnectorException

from tests.faults.ledger import UNFINISHED, working
from tests.servers import ASYNC_KINDS, KINDS, app, connector, soon


@pytest.mark.parametrize("kind", KINDS)
def test_a_defer_whose_answer_is_lost_is_told_and_not_repeated(kind, observer, proxy, through_proxy):
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
def test_a_worker_loses_no_job_with_an_answer(kind, concurrency, observer, proxy, through_proxy):
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
def test_a_job_is_retried_once_though_the_answer_is_lost(kind, observer, proxy, through_proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))
    begun = []

    @jobs.task(name="fails first", pass_context=True, retry=2)
    def fails_first(context):
        begun.append(context.job.attempts)
        if len(begun) == 1:
            raise RuntimeError("once")

    async def scenario():
        async with jobs.open_async():
            await fails_first.defer_async()
            proxy.lose(b"retry_job", b"procrastinate_jobs WHERE id", b"retry_job")
            async with working(jobs):
                await soon(lambda: observer.one(UNFINISHED) == 0)

    asyncio.run(scenario())
    assert begun == [0, 1]
    assert proxy.lost == 2


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_worker_survives_only_so_many_lost_answers_in_a_row(kind, proxy, through_proxy):
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            proxy.lose(*[b"fetch_job"] * 3, *[b"procrastinate_jobs WHERE worker_id"] * 100)
            async with working(jobs) as worker:
                async with asyncio.timeout(60):
                    with pytest.raises(ConnectorException, match="may have had its effect or not"):
                        await worker

    asyncio.run(scenario())
