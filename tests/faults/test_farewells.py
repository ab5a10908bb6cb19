"""The server says farewell right behind an answer: libpq reads both at once, and the socket is silent."""

from __future__ import annotations

import asyncio

import pytest

from tests.servers import ASYNC_KINDS, KINDS, app, connector

AFTER = pytest.mark.parametrize("after", [b"defer_jobs", b"user\0"], ids=["another query", "the next login"])
"""What is answered together with the second farewell; the first one comes after a query."""


@AFTER
@pytest.mark.parametrize("kind", KINDS)
def test_a_farewell_with_the_last_answer_fails_no_synchronous_call(
    kind, after, observer, proxy, through_proxy
):
    jobs = app(connector(kind, through_proxy, min_size=1))
    with jobs.open():
        proxy.end_after(b"defer_jobs", after)
        for number in range(4):
            jobs.tasks["work"].defer(argument=number)
    assert proxy.ended == 2
    assert observer.jobs() == list(range(4))


@AFTER
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_farewell_with_the_last_answer_fails_no_asynchronous_call(
    kind, after, observer, proxy, through_proxy
):
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            proxy.end_after(b"defer_jobs", after)
            for number in range(4):
                await jobs.tasks["work"].defer_async(argument=number)

    asyncio.run(scenario())
    assert proxy.ended == 2
    assert observer.jobs() == list(range(4))
