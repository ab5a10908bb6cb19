"""Connections that die in the pool: nobody notices, nothing is done twice, no slot is lost."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime import disconnects
from procrastinate_conn.connectors.runtime.liveness import readability
from procrastinate_conn.connectors.runtime.stats import pool_stats
from tests.servers import ASYNC_KINDS, KINDS, app, connector, soon, wait_until
from tests.tls import TlsProxy

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
            wait_until(lambda: pool_stats(jobs.connector).idle == 4)
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
                await soon(lambda: pool_stats(jobs.connector).idle == 4)
            return pool_stats(jobs.connector)

    stats = asyncio.run(scenario())
    assert observer.jobs() == list(range(ROUNDS * CALLS))
    assert (stats.size, stats.connections_lost) == (4, 4 * ROUNDS)
    # The event loop may read asyncpg's last message before the socket ends: such a query is sent once more.
    assert ROUNDS * CALLS <= stats.requests <= ROUNDS * CALLS + 2 * (kind == "asyncpg")


@pytest.fixture
def busy_machine(monkeypatch):
    """Let the end of a session take as long as it may take while other tests run."""
    monkeypatch.setattr(disconnects, "SHUTDOWN_RACE_WINDOW", 5.0)


@pytest.mark.usefixtures("busy_machine")
@pytest.mark.parametrize("kind", KINDS)
def test_backends_about_to_end_fail_no_synchronous_call(kind, address, observer):
    """The signal is on its way when the connection is handed out: its socket says nothing yet."""
    jobs = app(connector(kind, address, min_size=4))
    with jobs.open():
        for round_ in range(ROUNDS):
            observer.terminate(wait=False)
            for call in range(CALLS):
                jobs.tasks["work"].defer(argument=CALLS * round_ + call)
    assert observer.jobs() == list(range(ROUNDS * CALLS))


@pytest.mark.usefixtures("busy_machine")
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_backends_about_to_end_fail_no_asynchronous_call(kind, address, observer):
    jobs = app(connector(kind, address, min_size=4))

    async def scenario():
        async with jobs.open_async():
            for round_ in range(ROUNDS):
                observer.terminate(wait=False)
                for call in range(CALLS):
                    await jobs.tasks["work"].defer_async(argument=CALLS * round_ + call)

    asyncio.run(scenario())
    assert observer.jobs() == list(range(ROUNDS * CALLS))


SLOWLY = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'
"""

SLOW_TRIGGERS = pytest.mark.parametrize(
    "trigger",
    [
        "CREATE TRIGGER slowly BEFORE INSERT ON procrastinate_jobs",
        "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON procrastinate_jobs DEFERRABLE INITIALLY DEFERRED",
    ],
    ids=["insert", "commit"],
)
"""In the extended protocol the statement's result comes before that of a deferred trigger."""

SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


@pytest.fixture
def slow_inserts(observer, trigger, monkeypatch):
    """Let the database take its time to store a job, so that no end of a session crosses with a query."""
    monkeypatch.setattr(disconnects, "SHUTDOWN_RACE_WINDOW", 0.0)
    observer.connection.execute(SLOWLY)
    observer.connection.execute(f"{trigger} FOR EACH ROW EXECUTE FUNCTION slowly()")


def terminate_once_sleeping(observer):
    wait_until(lambda: observer.one(SLEEPING))
    assert observer.terminate("active") == 1


@SLOW_TRIGGERS
@pytest.mark.usefixtures("slow_inserts")
@pytest.mark.parametrize("kind", KINDS)
def test_job_is_stored_once_if_its_session_is_terminated_late(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1).get_sync_connector())
    with jobs.open(), ThreadPoolExecutor(1) as threads:
        deferring = threads.submit(jobs.tasks["work"].defer, argument=1)
        terminate_once_sleeping(observer)
        deferring.result(20)
        assert pool_stats(jobs.connector).size == 1
    assert observer.jobs() == [1]


@SLOW_TRIGGERS
@pytest.mark.usefixtures("slow_inserts")
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_job_of_a_task_is_stored_once_if_its_session_is_terminated_late(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1))

    async def scenario():
        async with jobs.open_async():
            deferring = asyncio.create_task(jobs.tasks["work"].defer_async(argument=1))
            await asyncio.to_thread(terminate_once_sleeping, observer)
            await asyncio.wait_for(deferring, 20)

    asyncio.run(scenario())
    assert observer.jobs() == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_query_of_the_application_that_is_terminated_late_is_reported(kind, address, observer):
    sync = connector(kind, address, min_size=1).get_sync_connector()
    sync.open()
    with ThreadPoolExecutor(1) as threads:
        sleeping = threads.submit(sync.execute_query, "SELECT pg_sleep(60)")
        wait_until(lambda: observer.one(SLEEPING))
        time.sleep(disconnects.SHUTDOWN_RACE_WINDOW)
        assert observer.terminate("active") == 1
        with pytest.raises(disconnects.OutcomeUnknown) as caught:
            sleeping.result(20)
    assert caught.value.__cause__ is not None
    sync.execute_query("SELECT 1")  # the slot is there again
    assert pool_stats(sync).size == 1
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_an_asynchronous_query_that_dies_while_it_runs_is_reported(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1))

    async def scenario():
        async with jobs.open_async():
            sleeping = asyncio.create_task(jobs.connector.execute_query_async("SELECT pg_sleep(60)"))
            await soon(
                lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            )
            await asyncio.sleep(0.1)  # so that it is beyond doubt that the query had started
            assert observer.terminate("active") == 1
            with pytest.raises(ConnectorException) as caught:
                await sleeping
            assert caught.value.__cause__ is not None
            await jobs.tasks["work"].defer_async(argument="next")

    asyncio.run(scenario())
    assert observer.jobs() == ["next"]


def test_socket_with_data_or_closed_is_readable():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        is_readable = readability(ours.fileno())
        assert not is_readable()
        theirs.send(b"S")
        assert is_readable()
        ours.recv(1)
        assert not is_readable()
        theirs.close()
        assert is_readable()


def test_select_is_used_without_poll(monkeypatch):
    monkeypatch.delattr("select.poll")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        is_readable = readability(ours.fileno())
        assert not is_readable()
        theirs.send(b"S")
        assert is_readable()


@pytest.mark.parametrize("kind", KINDS)
def test_unread_notification_loses_no_connection(kind, address, observer):
    sync = connector(kind, address, min_size=1).get_sync_connector()
    sync.open()
    pid = backend(sync)
    sync.execute_query("LISTEN anything")
    is_readable = readability(descriptor(sync))
    observer.connection.execute("NOTIFY anything")
    wait_until(is_readable)
    assert backend(sync) == pid
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_tls_session_tickets_lose_no_connection(kind, server, database):
    with TlsProxy(server.host, server.port) as proxy:
        address = {**server.parameters(database), "port": str(proxy.port), "sslmode": "require"}
        sync = connector(kind, address, min_size=1).get_sync_connector()
        sync.open()
        assert len({backend(sync) for _ in range(10)}) == 1
        assert pool_stats(sync).connections_lost == 0
        sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_terminated_backends_behind_tls_fail_no_call(kind, server, database, observer):
    with TlsProxy(server.host, server.port) as proxy:
        address = {**server.parameters(database), "port": str(proxy.port), "sslmode": "require"}
        jobs = app(connector(kind, address, min_size=2))
        with jobs.open():
            for round_ in range(5):
                wait_until(lambda: pool_stats(jobs.connector).idle == observer.backends() == 2)
                assert observer.terminate() == 2
                for call in range(2):
                    jobs.tasks["work"].defer(argument=2 * round_ + call)
    assert observer.jobs() == list(range(10))


def backend(sync):
    """Return the process that serves a connector with one connection."""
    return sync.execute_query_one("SELECT pg_backend_pid() AS pid")["pid"]


def descriptor(sync):
    """Return the socket of a connector with one connection."""
    connection = sync.own_pool.getconn()
    sync.own_pool.putconn(connection)
    return connection.fileno()
