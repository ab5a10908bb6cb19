"""The pool options, meaning the same on every kind."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg_pool
import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime import acquire
from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import REGISTRY
from tests.servers import ASYNC_KINDS, KINDS, OTHERS, app, connector, soon, wait_until

NAME = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


@pytest.mark.parametrize("kind", KINDS)
def test_min_size_connections_are_there_after_opening_and_none_after_closing(kind, address, observer):
    sync = connector(
        kind, {**address, "application_name": "kept"}, min_size=3, max_size=5
    ).get_sync_connector()
    sync.open()
    assert observer.one(NAME, "kept") == 3
    sync.close()
    wait_until(lambda: observer.one(NAME, "kept") == 0)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_min_size_connections_are_there_while_open_asynchronously(kind, address, observer):
    ours = connector(kind, {**address, "application_name": "kept"}, min_size=3, max_size=5)

    async def scenario():
        await ours.open_async()
        assert observer.one(NAME, "kept") == 3
        await ours.close_async()
        await soon(lambda: observer.one(NAME, "kept") == 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_one_call_after_the_other_uses_one_connection_of_several(kind, address):
    """psycopg_pool would go round all of them, and wake up another server process each time."""
    ours = connector(kind, address, min_size=3)
    query = "SELECT pg_backend_pid() AS pid"
    sync = ours.get_sync_connector()
    sync.open()
    assert len({sync.execute_query_one(query)["pid"] for _ in range(6)}) == 1
    sync.close()

    async def scenario():
        await ours.open_async()
        pids = {(await ours.execute_query_one_async(query))["pid"] for _ in range(6)}
        await ours.close_async()
        return pids

    if kind in ASYNC_KINDS:
        assert len(asyncio.run(scenario())) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_max_size_bounds_the_connections_under_32_threads(kind, address, observer):
    sync = connector(kind, address, min_size=1, max_size=3).get_sync_connector()
    sync.open()
    most = []
    with ThreadPoolExecutor(32) as threads:
        calls = [threads.submit(sync.execute_query, "SELECT pg_sleep(0.02)") for _ in range(96)]
        while not all(call.done() for call in calls):
            most.append(observer.backends())
        for call in calls:
            call.result()
    stats = pool_stats(sync)
    assert max(most) <= 3
    assert (stats.size, stats.idle, stats.in_use, stats.waiting) == (3, 3, 0, 0)
    assert (stats.requests, stats.requests_failed, stats.connections_made) == (96, 0, 3)
    assert 0 < stats.requests_waited <= 96
    assert stats.wait_ms > 0
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_max_size_bounds_the_connections_under_100_tasks(kind, address, observer):
    ours = connector(kind, address, min_size=1, max_size=3)

    async def scenario():
        await ours.open_async()
        calls = [asyncio.create_task(ours.execute_query_async("SELECT pg_sleep(0.02)")) for _ in range(100)]
        most = []
        while not all(call.done() for call in calls):
            most.append(await asyncio.to_thread(observer.backends))
        await asyncio.gather(*calls)
        stats = pool_stats(ours)
        await ours.close_async()
        return max(most), stats

    most, stats = asyncio.run(scenario())
    assert most <= 3
    assert (stats.size, stats.idle, stats.in_use, stats.waiting) == (3, 3, 0, 0)
    assert (stats.requests, stats.requests_failed, stats.connections_made) == (100, 0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_caller_over_max_size_waits_and_gets_a_timeout_error(kind, address, observer):
    sync = connector(kind, address, min_size=1, timeout=2).get_sync_connector()
    sync.open()
    with ThreadPoolExecutor(1) as thread:
        sleeping = thread.submit(sync.execute_query, "SELECT pg_sleep(30)")
        wait_until(lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        started = time.monotonic()
        with pytest.raises(ConnectorException) as caught:
            sync.execute_query("SELECT 1")
        assert 2 <= time.monotonic() - started < 20
        assert "couldn't get a connection after 2.00 sec" in causes(caught.value)
        observer.terminate("active")
        with pytest.raises(ConnectorException):
            sleeping.result()
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_caller_over_max_size_gets_the_connection_that_is_returned(kind, address):
    sync = connector(kind, address, min_size=1, timeout=20).get_sync_connector()
    sync.open()
    with ThreadPoolExecutor(4) as threads:
        for call in [threads.submit(sync.execute_query, "SELECT pg_sleep(0.1)") for _ in range(4)]:
            call.result()
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_task_over_max_size_waits_and_gets_a_timeout_error(kind, address, observer):
    ours = connector(kind, address, min_size=1, timeout=2)

    async def scenario():
        await ours.open_async()
        sleeping = asyncio.create_task(ours.execute_query_async("SELECT pg_sleep(30)"))
        await soon(lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        with pytest.raises(ConnectorException) as caught:
            await ours.execute_query_async("SELECT 1")
        assert "couldn't get a connection after 2.00 sec" in causes(caught.value)
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)
        await ours.execute_query_async("SELECT 1")  # the slot is there again
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_more_than_max_waiting_callers_are_rejected(kind, address):
    sync = connector(kind, address, min_size=1, max_waiting=1, timeout=20).get_sync_connector()
    sync.open()
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(sync.execute_query, "SELECT pg_sleep(1)") for _ in range(2)]
        wait_until(lambda: pool_stats(sync).waiting == 1)
        with pytest.raises(ConnectorException) as caught:
            sync.execute_query("SELECT 1")
        assert "has already 1 requests waiting" in causes(caught.value)
        for call in calls:
            call.result()
    sync.close()


def test_callers_of_a_null_pool_connect_once_a_second_at_most_while_the_server_is_away(address):
    ours = connector("sync-psycopg", address, null=True, max_size=8, timeout=1.2)
    ours.open()
    factory, attempts = ours.own_pool.connection_factory, []
    open_connection = factory.open_connection

    def refused(parameters):
        attempts.append(parameters)
        return open_connection({**parameters, "port": "1"})

    factory.open_connection = refused
    with ThreadPoolExecutor(8) as threads:
        with pytest.raises(ConnectorException, match="refused"):
            ours.execute_query("SELECT 1")  # now it is known
        attempts.clear()
        calls = [threads.submit(ours.execute_query, "SELECT 1") for _ in range(8)]
        assert all("refused" in str(call.exception(20)) for call in calls)
    assert len(attempts) <= 2
    factory.open_connection = open_connection
    ours.execute_query("SELECT 1")
    ours.close()


@pytest.mark.parametrize("kind", KINDS)
def test_max_lifetime_retires_connections(kind, address):
    sync = connector(kind, address, min_size=1, max_lifetime=0.2).get_sync_connector()
    sync.open()
    first = backend(sync)
    wait_until(lambda: backend(sync) != first)
    assert pool_stats(sync).connections_lost == 0
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_max_lifetime_retires_the_connections_that_one_caller_leaves_idle(kind, address, observer):
    """psycopg_pool looks at their age when they come back."""
    sync = connector(kind, address, min_size=3, max_lifetime=0.2).get_sync_connector()
    sync.open()
    opened = observer.one("SELECT now()")

    def none_is_left():
        sync.execute_query("SELECT 1")
        return (
            observer.one(f"SELECT count(*) FROM pg_stat_activity {OTHERS} AND backend_start < %s", opened)
            == 0
        )

    wait_until(none_is_left)
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_max_idle_retires_what_is_beyond_min_size(kind, address):
    sync = connector(kind, address, min_size=1, max_size=3, max_idle=0.2).get_sync_connector()
    sync.open()
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(sync.execute_query, ["SELECT pg_sleep(0.3)"] * 3))
    assert pool_stats(sync).size == 3
    wait_until(lambda: pool_stats(sync).size == 1)
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_get_the_drivers_own_connection(kind, address):
    seen = []

    def note(name):
        def plain(connection):
            seen.append((name, type(connection).__mro__))

        async def asynchronous(connection):
            seen.append((name, type(connection).__mro__))

        return asynchronous, plain

    sync = connector(
        kind, address, min_size=1, configure=note("configure"), reset=note("reset"), check=note("check")
    ).get_sync_connector()
    sync.open()
    sync.execute_query("SELECT 1")
    wait_until(lambda: len(seen) == 3)
    assert [name for name, _ in seen] == ["configure", "check", "reset"]
    driver = "psycopg2" if "psycopg2" in REGISTRY[kind].drivers else "psycopg"
    assert all(any(cls.__module__.split(".")[0] == driver for cls in mro) for _, mro in seen)
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_callbacks_of_an_asynchronous_connector_are_awaited(kind, address):
    seen = []

    def note(name):
        async def asynchronous(connection):
            await asyncio.sleep(0)
            seen.append((name, type(connection).__mro__))

        return asynchronous

    ours = connector(
        kind, address, min_size=1, configure=note("configure"), reset=note("reset"), check=note("check")
    )

    async def scenario():
        await ours.open_async()
        await ours.execute_query_async("SELECT 1")
        await soon(lambda: len(seen) == 3)
        await ours.close_async()

    asyncio.run(scenario())
    assert [name for name, _ in seen] == ["configure", "check", "reset"]
    assert all(any(cls.__module__.split(".")[0] in REGISTRY[kind].drivers for cls in mro) for _, mro in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_connection_rejected_by_the_check_callback_is_replaced(kind, address):
    rejected = []

    def reject_the_first(connection):
        if not rejected:
            rejected.append(connection)
            raise RuntimeError("not this one")

    sync = connector(kind, address, min_size=1, check=reject_the_first).get_sync_connector()
    sync.open()
    sync.execute_query("SELECT 1")
    assert len(rejected) == 1
    assert pool_stats(sync).connections_lost == 1
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_configure_that_runs_a_query_does_not_stop_the_pool_from_filling(kind, address):
    def configure(connection):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1234ms'")

    sync = connector(kind, address, min_size=2, timeout=10, configure=configure).get_sync_connector()
    sync.open()
    assert sync.execute_query_one("SELECT current_setting('lock_timeout') AS it")["it"] == "1234ms"
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_opening_names_the_error_of_configure(kind, address, observer):
    def configure(connection):
        raise RuntimeError("no such setting")

    sync = connector(kind, address, min_size=1, timeout=2, configure=configure).get_sync_connector()
    with pytest.raises(ConnectorException) as caught:
        sync.open()
    assert "the last attempt to connect failed: no such setting" in causes(caught.value)
    wait_until(lambda: observer.backends() == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_null_pool_keeps_no_connection(kind, address, observer):
    jobs = app(connector(kind, address, null=True, max_size=2).get_sync_connector())
    with jobs.open():
        wait_until(lambda: observer.backends() == 0)
        for number in range(3):
            jobs.tasks["work"].defer(argument=number)
            wait_until(lambda: observer.backends() == 0)
    assert observer.jobs() == [0, 1, 2]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_asynchronous_null_pool_keeps_no_connection(kind, address, observer):
    jobs = app(connector(kind, address, null=True, max_size=2))

    async def scenario():
        async with jobs.open_async():
            for number in range(3):
                await jobs.tasks["work"].defer_async(argument=number)
                await soon(lambda: observer.backends() == 0)

    asyncio.run(scenario())
    assert observer.jobs() == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_stats_count_from_zero(kind, address):
    sync = connector(kind, address, min_size=2, max_size=4).get_sync_connector()
    sync.open()
    stats = pool_stats(sync)
    assert (stats.size, stats.idle, stats.in_use, stats.max_size) == (2, 2, 0, 4)
    assert (stats.requests, stats.requests_waited, stats.wait_ms) == (0, 0, 0)
    assert (stats.connections_made, stats.connections_failed, stats.connections_lost) == (2, 0, 0)
    sync.close()


@pytest.mark.parametrize("null", [False, True], ids=["pool", "null"])
@pytest.mark.parametrize("kind", KINDS)
def test_stats_count_a_call_once_however_often_it_is_tried(kind, null, own_server):
    sizes = {"null": True} if null else {"min_size": 1}
    sync = connector(kind, own_server.parameters("jobs"), timeout=2, **sizes).get_sync_connector()
    sync.open()
    sync.execute_query("SELECT 1")
    own_server.stop("immediate")
    with pytest.raises(ConnectorException):
        sync.execute_query("SELECT 1")
    stats = pool_stats(sync)
    assert (stats.requests, stats.requests_failed) == (2, 1)
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_pool_reconnects_at_short_intervals(kind, own_server, monkeypatch):
    """Left to itself, psycopg_pool tries after 1, 2, 4, 8, ... seconds: the tenth time after 17 minutes."""
    monkeypatch.setattr(acquire, "RECONNECT_PAUSE", 0.01)
    monkeypatch.setattr(acquire, "RECONNECT_INTERVAL", 0.05)
    sync = connector(kind, own_server.parameters("jobs"), min_size=1, timeout=30).get_sync_connector()
    sync.open()
    own_server.stop("immediate")
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(sync.execute_query, "SELECT 1")
        wait_until(lambda: pool_stats(sync).connections_failed >= 10)
        own_server.start()
        call.result()
    sync.close()


def test_an_application_s_own_connection_class_is_used(address):
    class Mine(psycopg_pool.ConnectionPool.__init__.__kwdefaults__["connection_class"]):
        pass

    sync = connector("sync-psycopg", address, min_size=1, connection_class=Mine)
    sync.open()
    with sync.pool.connection() as connection:
        assert isinstance(connection, Mine)
        assert connection.autocommit
    sync.close()


def backend(sync):
    """Return the process that serves a connector with one connection."""
    return sync.execute_query_one("SELECT pg_backend_pid() AS pid")["pid"]


def causes(error):
    """Return the messages of an error and all its causes."""
    messages = []
    while error is not None:
        messages.append(str(error))
        error = error.__cause__
    return "\n".join(messages)
