"""An asynchronous connector and its event loop: calls from other threads, loops that end or do not fit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import types
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest
from procrastinate.exceptions import AppNotOpen, ConnectorException

from procrastinate_conn.connectors.runtime import loop_bridge
from procrastinate_conn.connectors.runtime.stats import pool_stats
from tests.faults.unresponsive import closed_port
from tests.servers import ASYNC_KINDS, app, connector, soon, wait_until

each_kind = pytest.mark.parametrize("kind", ASYNC_KINDS)

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@contextmanager
def loop_in_a_thread() -> Iterator[
    tuple[asyncio.AbstractEventLoop, Callable[[Coroutine[Any, Any, Any]], Any]]
]:
    """Run an event loop in a thread; give it, and what runs a coroutine there and returns its result."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop, lambda call: asyncio.run_coroutine_threadsafe(call, loop).result(20)
    finally:
        if loop.is_running():
            loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@each_kind
def test_call_started_just_as_its_caller_gives_up_is_awaited(kind, address, observer, monkeypatch):
    """Otherwise the caller would be told that nothing was done, and defer again."""
    jobs = app(connector(kind, address, min_size=1))
    released = threading.Event()

    def one_moment_too_early(futures, timeout):
        if not released.is_set():
            assert not wait(futures, timeout).done
            released.set()
            assert wait(futures, 20).done
            return types.SimpleNamespace(done=set())
        return wait(futures, timeout)

    with loop_in_a_thread() as (loop, run):
        run(jobs.connector.open_async())
        loop.call_soon_threadsafe(released.wait)
        monkeypatch.setattr(loop_bridge, "wait", one_moment_too_early)
        loop_bridge.run_on_owner_loop(jobs.tasks["work"].defer_async(argument="once"), loop, 0.05)
        run(jobs.connector.close_async())
    assert observer.jobs() == ["once"]


@each_kind
def test_withdrawn_call_is_never_started(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1))
    released = threading.Event()
    with loop_in_a_thread() as (loop, run):
        run(jobs.connector.open_async())
        loop.call_soon_threadsafe(released.wait)
        with pytest.raises(ConnectorException, match=r"did nothing for 0\.05 sec"):
            loop_bridge.run_on_owner_loop(jobs.tasks["work"].defer_async(argument="never"), loop, 0.05)
        released.set()
        run(jobs.tasks["work"].defer_async(argument="later"))
        run(jobs.connector.close_async())
    assert observer.jobs() == ["later"]


@each_kind
def test_call_cancelled_by_its_loop_has_an_unknown_outcome(kind, server, database, address, observer):
    jobs = app(connector(kind, address, min_size=1))
    with (
        ThreadPoolExecutor(1) as thread,
        server.connect(database) as blocker,
        blocker.transaction(),
        loop_in_a_thread() as (loop, run),
    ):
        run(jobs.connector.open_async())
        blocker.execute("LOCK TABLE procrastinate_jobs")
        call = thread.submit(jobs.tasks["work"].defer, argument="started")
        wait_until(lambda: observer.one(WAITING) == 1)
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        with pytest.raises(ConnectorException, match="may have had its effect or not"):
            call.result(20)


def test_call_into_a_closed_loop_raises(monkeypatch):
    monkeypatch.setattr(loop_bridge, "CHECK_INTERVAL", 0.01)
    started = threading.Event()

    async def never_ends():
        started.set()
        await asyncio.Event().wait()

    with loop_in_a_thread() as (loop, _), ThreadPoolExecutor(1) as thread:
        loop.set_exception_handler(lambda *_: None)  # it tells of a task that was left behind
        call = thread.submit(loop_bridge.run_on_owner_loop, never_ends(), loop, 20)
        assert started.wait(20)
        loop.call_soon_threadsafe(loop.stop)
        wait_until(lambda: not loop.is_running())
        loop.close()
        with pytest.raises(ConnectorException, match="may have had its effect or not"):
            call.result(20)


@each_kind
def test_call_awaited_in_another_loop_runs_in_the_owner_loop(kind, address, observer):
    """There it would wait for what never comes, and keep connections from those who are at owner_loop."""
    jobs = app(connector(kind, address, min_size=1, max_size=2, timeout=20))

    def defers_in_a_loop_of_its_own(thread):
        for number in range(10):
            asyncio.run(jobs.tasks["work"].defer_async(argument=10 * thread + number))

    async def scenario():
        async with jobs.open_async():
            threads = asyncio.gather(*(asyncio.to_thread(defers_in_a_loop_of_its_own, n) for n in range(3)))
            while not threads.done():
                await jobs.connector.execute_query_async("SELECT pg_sleep(0.005)")
            await threads
            assert pool_stats(jobs.connector).requests_failed == 0

    asyncio.run(scenario())
    assert sorted(observer.jobs()) == list(range(30))


@each_kind
def test_cancellation_in_another_loop_is_propagated_to_the_owner_loop(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1))
    observer.connection.execute("CREATE TABLE seen (number int)")

    async def cancelled():
        query = "INSERT INTO seen SELECT 1 FROM pg_sleep(60)"
        call = asyncio.create_task(jobs.connector.execute_query_async(query))
        await soon(lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        call.cancel()
        await asyncio.wait([call], timeout=20)
        assert call.cancelled()

    async def scenario():
        async with jobs.open_async():
            await asyncio.to_thread(asyncio.run, cancelled())
            await jobs.tasks["work"].defer_async(argument="the place is there again")

    asyncio.run(scenario())
    assert observer.one("SELECT count(*) FROM seen") == 0
    assert len(observer.jobs()) == 1


@each_kind
def test_call_awaited_in_another_loop_raises_while_the_owner_loop_is_blocked(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1, timeout=2))

    async def scenario():
        async with jobs.open_async():
            with ThreadPoolExecutor(1) as thread:
                call = thread.submit(asyncio.run, jobs.tasks["work"].defer_async(argument="never"))
                with pytest.raises(ConnectorException, match="did nothing for"):
                    call.result(20)  # which blocks the loop
            await jobs.tasks["work"].defer_async(argument="later")

    asyncio.run(scenario())
    assert observer.jobs() == ["later"]


def test_psycopg_calls_run_in_another_loop_while_the_owner_loop_is_stopped(address, observer):
    """As in a script, a notebook, or tests around a loop of their own; aiopg's connections cannot."""
    jobs = app(connector("psycopg", address, min_size=1, timeout=20))
    with contextlib.closing(asyncio.new_event_loop()) as owner_loop:
        owner_loop.run_until_complete(jobs.connector.open_async())
        for number in range(3):
            jobs.tasks["work"].defer(argument=number)
        asyncio.run(jobs.tasks["work"].defer_async(argument=3))
        owner_loop.run_until_complete(jobs.connector.close_async())
    assert observer.jobs() == [0, 1, 2, 3]


def test_aiopg_calls_raise_while_the_owner_loop_is_stopped(address, observer):
    jobs = app(connector("aiopg", address, min_size=1, timeout=20))
    with contextlib.closing(asyncio.new_event_loop()) as owner_loop:
        owner_loop.run_until_complete(jobs.connector.open_async())
        for _ in range(3):
            with pytest.raises(ConnectorException, match="opened in does not run now"):
                jobs.tasks["work"].defer(argument="never")
            with pytest.raises(ConnectorException, match="opened in does not run now"):
                asyncio.run(jobs.tasks["work"].defer_async(argument="never"))
        owner_loop.run_until_complete(jobs.tasks["work"].defer_async(argument="later"))
        owner_loop.run_until_complete(jobs.connector.close_async())
    assert observer.jobs() == ["later"]


@each_kind
def test_call_whose_loop_stops_raises_after_the_timeout(kind, address, observer):
    ours = connector(kind, address, min_size=1, timeout=20)
    calls = []

    async def hand_over():
        query = ours.execute_query_async("SELECT pg_sleep(3)")
        calls.append(thread.submit(loop_bridge.run_on_owner_loop, query, asyncio.get_running_loop(), 0.5))
        await soon(lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))

    with contextlib.closing(asyncio.new_event_loop()) as owner_loop, ThreadPoolExecutor(1) as thread:
        owner_loop.run_until_complete(ours.open_async())
        pools_tasks = asyncio.all_tasks(owner_loop)
        owner_loop.run_until_complete(hand_over())
        with pytest.raises(ConnectorException, match="may have had its effect or not"):
            calls[0].result(20)
        for task in (pending := asyncio.all_tasks(owner_loop) - pools_tasks):
            task.cancel()
        owner_loop.run_until_complete(asyncio.wait(pending))
        owner_loop.run_until_complete(ours.close_async())


def test_call_raises_if_its_loop_is_closed_before_starting_it():
    async def never_started():
        raise AssertionError

    with loop_in_a_thread() as (loop, _), ThreadPoolExecutor(1) as thread:
        loop.call_soon_threadsafe(loop.stop)
        wait_until(lambda: not loop.is_running())
        call = thread.submit(loop_bridge.run_on_owner_loop, never_started(), loop, 60)
        wait_until(call.running)
        loop.close()
        with pytest.raises(ConnectorException, match=r"has it ended|was closed"):
            call.result(20)


@each_kind
def test_connector_is_closed_with_its_event_loop(kind, address, observer):
    ours = connector(kind, address, min_size=1)
    asyncio.run(ours.open_async())
    asyncio.run(ours.close_async())
    asyncio.run(ours.open_async())

    async def query():
        with pytest.raises(AppNotOpen):
            await ours.execute_query_async("SELECT 1")
        with pytest.raises(AppNotOpen):
            ours.require_pool()

    asyncio.run(query())
    with pytest.raises(AppNotOpen):
        pool_stats(ours)


@each_kind
def test_opening_in_a_loop_that_cannot_watch_sockets_raises(kind, address):
    """As that of Windows, whose class has no `add_reader` of its own either."""

    class Proactor(asyncio.SelectorEventLoop):
        add_reader = asyncio.AbstractEventLoop.add_reader

    ours = connector(kind, address, min_size=1, timeout=20)
    with (
        asyncio.Runner(loop_factory=Proactor) as runner,
        pytest.raises(ConnectorException, match=r"Proactor cannot wait .*\.SelectorEventLoop"),
    ):
        runner.run(asyncio.wait_for(ours.open_async(), 5))


@each_kind
def test_calls_from_threads_raise_app_not_open_after_a_failed_opening(kind, address):
    """A thread that defers has to be told at once that the connector is not open."""
    with closed_port() as port:
        ours = connector(kind, {**address, "port": str(port)}, min_size=1, timeout=0.2)

        async def scenario():
            with pytest.raises(ConnectorException):
                await ours.open_async()
            with pytest.raises(AppNotOpen):
                await asyncio.to_thread(ours.execute_query, "SELECT 1")
            assert ours.owner_loop is None

        asyncio.run(scenario())


@each_kind
def test_threads_get_the_same_synchronous_side(kind, address, monkeypatch):
    ours = connector(kind, address, min_size=1)
    make = ours.sync_connector
    at_once = threading.Barrier(2)

    def slowly(config):
        with contextlib.suppress(threading.BrokenBarrierError):
            at_once.wait(0.1)
        return make(config)

    monkeypatch.setattr(ours, "sync_connector", slowly)
    with ThreadPoolExecutor(2) as threads:
        sides = [threads.submit(ours.get_sync_connector) for _ in range(2)]
    assert sides[0].result() is sides[1].result()


@each_kind
def test_reading_stats_makes_no_synchronous_side(kind, address, monkeypatch):
    ours = connector(kind, address, min_size=1)
    monkeypatch.setattr(ours, "sync_connector", pytest.fail)
    with pytest.raises(AppNotOpen):
        pool_stats(ours)


@each_kind
def test_closing_waits_for_a_pending_opening(kind, address, observer):
    """Who closes last has to find it closed; the opening would leave its pool behind."""
    ours = connector(kind, address, min_size=2)

    async def scenario():
        opening = asyncio.create_task(ours.open_async())
        await asyncio.sleep(0)
        await ours.close_async()
        await opening
        with pytest.raises(AppNotOpen):
            await ours.execute_query_async("SELECT 1")

    asyncio.run(scenario())
    wait_until(lambda: observer.backends() == 0)


@each_kind
def test_concurrent_openings_make_one_pool(kind, address, observer):
    ours = connector(kind, address, min_size=2)
    made = []
    make = ours.make_connection_factory
    ours.make_connection_factory = lambda: made.append(1) or make()

    async def scenario():
        await asyncio.gather(*(ours.open_async() for _ in range(3)))
        await ours.close_async()

    for _ in range(2):  # in an event loop of its own each time
        asyncio.run(scenario())
    assert len(made) == 2
    wait_until(lambda: observer.backends() == 0)


@each_kind
def test_cancelled_openings_and_closings_leave_no_connection(kind, address, observer):
    ours = connector(kind, address, min_size=2, timeout=10)

    async def cancelled_after(steps: int, call: Coroutine[Any, Any, None]) -> bool:
        task = asyncio.create_task(call)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    async def scenario():
        for steps in (*range(12), *(12 * 2**n for n in range(1, 12))):
            if not await cancelled_after(steps, ours.open_async()):
                break
            await soon(lambda: observer.backends() == 0)
        await ours.close_async()
        for steps in range(100):
            await ours.open_async()
            ended = not await cancelled_after(steps, ours.close_async())
            await ours.close_async()
            await soon(lambda: observer.backends() == 0)
            if ended:
                break

    asyncio.run(scenario())


@each_kind
def test_a_thread_may_open_while_the_event_loop_closes(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1))

    async def scenario():
        for _ in range(5):
            await jobs.connector.open_async()
            closing = asyncio.create_task(jobs.connector.close_async())
            await asyncio.to_thread(jobs.connector.get_sync_connector)
            await closing
            opened = asyncio.create_task(asyncio.to_thread(jobs.open))
            await asyncio.gather(jobs.connector.close_async(), opened)
            await jobs.connector.close_async()

    asyncio.run(scenario())
    wait_until(lambda: observer.backends() == 0)


@each_kind
def test_pending_query_completes_while_the_connector_closes(kind, address, observer):
    ours = connector(kind, address, min_size=1)

    async def scenario():
        await ours.open_async()
        query = asyncio.create_task(ours.execute_query_one_async("SELECT pg_sleep(0.2)::text AS slept"))
        await soon(
            lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sl'")
        )
        await ours.close_async()
        assert await query == {"slept": ""}
        await soon(lambda: observer.backends() == 0)

    asyncio.run(scenario())
