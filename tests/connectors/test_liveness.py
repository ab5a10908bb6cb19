"""Connections that die in the pool: nobody notices, nothing is done twice, no slot is lost."""

from __future__ import annotations

import asyncio
import socket
import threading

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
    assert (stats.size, stats.connections_lost, stats.requests) == (4, 4 * ROUNDS, ROUNDS * CALLS)


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_that_dies_while_it_runs_is_reported_and_not_sent_again(
    kind, server, database, address, observer
):
    jobs = app(connector(kind, address, min_size=1).get_sync_connector())
    errors = []

    def defer():
        try:
            jobs.tasks["work"].defer()
        except ConnectorException as error:
            errors.append(error)

    with jobs.open():
        with server.connect(database) as blocker, blocker.transaction():
            blocker.execute("LOCK TABLE procrastinate_jobs")
            thread = threading.Thread(target=defer)
            thread.start()
            wait_until(
                lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            )
            assert observer.terminate("active") == 1
            thread.join(20)
        assert len(errors) == 1
        assert errors[0].__cause__ is not None
        assert observer.jobs() == []
        jobs.tasks["work"].defer(argument="next")  # the slot is there again
        assert observer.jobs() == ["next"]
        assert pool_stats(jobs.connector).size == 1


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
                assert observer.terminate() == 2
                for call in range(2):
                    jobs.tasks["work"].defer(argument=2 * round_ + call)
                wait_until(lambda: observer.backends() == 2)
    assert observer.jobs() == list(range(10))


def backend(sync):
    """Return the process that serves a connector with one connection."""
    return sync.execute_query_one("SELECT pg_backend_pid() AS pid")["pid"]


def descriptor(sync):
    """Return the socket of a connector with one connection."""
    connection = sync.own_pool.getconn()
    sync.own_pool.putconn(connection)
    return connection.fileno()
