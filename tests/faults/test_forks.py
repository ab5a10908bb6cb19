"""A connector opened before a fork, as with `gunicorn --preload`: no process uses another one's socket."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import traceback
from collections.abc import Callable
from types import ModuleType

import pytest
import sqlalchemy
from procrastinate.exceptions import AppNotOpen, ConnectorException
from sqlalchemy.pool import NullPool

from procrastinate_conn.connectors.runtime import forks
from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import ConnectorKind
from tests.servers import ASYNC_KINDS, KINDS, SYNC_KINDS, Observer, app, connector, wait_until

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


def status_of(work: Callable[[], None]) -> int:
    """Run a function in a child; return how that ended."""
    return os.waitpid(fork(work), 0)[1]


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_children_open_anew_what_was_opened_before_the_fork(kind, server, database):
    jobs = app(connector(kind, server.parameters(database), min_size=2, timeout=10))
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
        wait_until(lambda: observer.backends() == 2)  # the parent's, which the children have left alone
    assert statuses == [0] * CHILDREN
    expected = [-1, *range(1000, 1005), *range(2000, 2005)]
    expected += [100 * first + number for first in range(CHILDREN) for number in range(5)]
    assert sorted(observer.jobs()) == sorted(expected)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_child_of_an_asynchronously_open_parent_is_closed(kind, server, database):
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


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_grandchild_opens_anew_what_no_child_has_used(kind, server, database):
    jobs = app(connector(kind, server.parameters(database), min_size=1, timeout=10))

    def defer_in_a_grandchild():
        assert status_of(lambda: jobs.tasks["work"].defer(argument="grandchild")) == 0
        jobs.tasks["work"].defer(argument="child")

    with jobs.open():
        assert status_of(defer_in_a_grandchild) == 0
    assert Observer(server, database).jobs() == ["grandchild", "child"]


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_child_that_failed_to_open_tries_again(kind, server, database):
    sealed = []

    def password() -> str:
        if sealed:
            raise OSError("the vault is sealed")
        return "none is needed"

    jobs = app(connector(kind, server.parameters(database), min_size=1, timeout=2, password=password))

    def defer_twice():
        sealed.append(True)
        with pytest.raises(ConnectorException):
            jobs.tasks["work"].defer(argument="in vain")
        sealed.clear()
        jobs.tasks["work"].defer(argument="again")

    with jobs.open():
        assert status_of(defer_twice) == 0
    assert Observer(server, database).jobs() == ["again"]


def test_engine_of_the_callers_is_used_in_a_child(server, database):
    """One without a pool is fit for it; of any other the caller has to dispose there."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg2://", connect_args=server.parameters(database), poolclass=NullPool
    )
    jobs = app(connector(ConnectorKind.SQLALCHEMY_PSYCOPG2, {"host": "127.0.0.1", "port": "1"}))
    with jobs.open(engine):
        assert status_of(lambda: jobs.tasks["work"].defer(argument="child")) == 0
        jobs.tasks["work"].defer(argument="parent")
    assert Observer(server, database).jobs() == ["child", "parent"]


@pytest.mark.parametrize("kind", KINDS)
def test_reading_stats_in_a_child_opens_nothing(kind, server, database):
    jobs = app(connector(kind, server.parameters(database), min_size=1))

    def read():
        with pytest.raises(AppNotOpen):
            pool_stats(jobs.connector)
        assert Observer(server, database).backends() == 1  # the parent's

    with jobs.open():
        assert status_of(read) == 0


def test_the_hook_for_forks_keeps_nothing_else_alive_when_the_interpreter_ends() -> None:
    reached = {id(sys)}  # it holds everything, and lets go of it in time
    modules = set()
    left: list[object] = [forks._after_fork_in_child]
    while left:
        found = left.pop()
        if id(found) not in reached:
            reached.add(id(found))
            left += gc.get_referents(found)
            if isinstance(found, ModuleType):
                modules.add(found.__name__)
    assert "os" in modules
    assert not modules & {"typing", "asyncio", "psycopg", "pydantic", "procrastinate"}
