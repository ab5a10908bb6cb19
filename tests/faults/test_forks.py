"""A connector opened before a fork, as with `gunicorn --preload`: no process uses another one's socket."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Callable

import pytest
from procrastinate.exceptions import AppNotOpen

from tests.servers import ASYNC_KINDS, KINDS, Observer, app, connector

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

CHILDREN = 3


def fork(work: Callable[[], None]) -> int:
    """Run a function in a child; return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - the child shows it and ends
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


@pytest.mark.parametrize("kind", KINDS)
def test_children_open_anew_what_was_opened_before_the_fork(kind, server, database):
    jobs = app(connector(kind, server.parameters(database), min_size=2, timeout=10).get_sync_connector())
    observer = Observer(server, database)

    def defer(first: int) -> None:
        for number in range(first, first + 5):
            jobs.tasks["work"].defer(argument=number)

    with jobs.open():
        jobs.tasks["work"].defer(argument=-1)
        children = [fork(lambda first=first: defer(100 * first)) for first in range(CHILDREN)]
        defer(1000)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        defer(2000)
        assert observer.backends() == 2  # the parent's, which the children have left alone
    assert statuses == [0] * CHILDREN
    expected = [-1, *range(1000, 1005), *range(2000, 2005)]
    expected += [100 * first + number for first in range(CHILDREN) for number in range(5)]
    assert sorted(observer.jobs()) == sorted(expected)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_child_is_not_open_where_its_parent_was_open_asynchronously(kind, server, database):
    """Its event loop is the parent's: whoever uses it there is told to open it."""
    jobs = app(connector(kind, server.parameters(database), min_size=2))
    observer = Observer(server, database)

    def use() -> None:
        with pytest.raises(AppNotOpen):
            jobs.tasks["work"].defer(argument="closed")
        with jobs.open():
            jobs.tasks["work"].defer(argument="opened")

    async def scenario():
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async(argument="before")
            child = fork(use)
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            await jobs.tasks["work"].defer_async(argument="after")
            return status

    assert asyncio.run(scenario()) == 0
    assert observer.jobs() == ["before", "opened", "after"]
