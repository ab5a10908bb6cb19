"""No effect happens twice, no wait is endless, no slot is lost, no storm of attempts is made."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from types import SimpleNamespace

import psycopg
import psycopg_pool
import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn import make_connector
from procrastinate_conn.connectors.runtime import acquire, disconnects, liveness
from procrastinate_conn.connectors.runtime.acquire import PingTimeout
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown, raise_disconnect
from procrastinate_conn.connectors.runtime.listener import listen
from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.demo.proxy import CountingProxy
from procrastinate_conn.registry import ConnectorKind
from tests.connectors.test_pool import causes
from tests.installed import unmet
from tests.servers import ASYNC_KINDS, KINDS, SYNC_KINDS, connector, soon, wait_until

SCRIPT = "INSERT INTO seen DEFAULT VALUES; COMMIT; SELECT pg_terminate_backend(pg_backend_pid())"


@pytest.mark.parametrize("kind", KINDS)
def test_script_that_was_executed_in_part_is_not_sent_again(kind, address, observer):
    observer.connection.execute("CREATE TABLE seen (number int GENERATED ALWAYS AS IDENTITY)")
    sync = connector(kind, address, min_size=1).get_sync_connector()
    sync.open()
    with pytest.raises(OutcomeUnknown):
        sync.execute_query(SCRIPT)
    sync.close()
    assert observer.one("SELECT count(*) FROM seen") == 1


@pytest.mark.parametrize(
    ("setting", "value", "logged"),
    [
        (None, None, False),
        ("log_duration", "on", True),
        ("log_statement_stats", "on", True),
        ("log_min_duration_statement", "0", True),
        ("log_min_duration_statement", "50", True),
        ("log_min_duration_statement", "51", False),
        ("log_min_duration_sample", "0", True),
        ("log_transaction_sample_rate", "0.1", True),
    ],
)
def test_settings_that_log_a_duration_after_the_commit_are_found(setting, value, logged, observer):
    if setting:
        observer.connection.execute(f"SET {setting} = '{value}'")
    assert observer.one(disconnects.DURATION_LOGGING_QUERY) is logged


def test_query_with_a_result_is_not_sent_again_for_a_later_failure(address, observer):
    """Where a connection has many prepared statements, psycopg deallocates some in the same call."""
    with psycopg.connect(**address, autocommit=True) as connection, connection.cursor() as cursor:

        def execute(query):
            try:
                cursor.execute(query)
                observer.terminate()
                connection.execute("DEALLOCATE ALL")
            except psycopg.Error as error:
                raise_disconnect(error, connection.info, query, time.monotonic(), cursor=cursor)

        with pytest.raises(OutcomeUnknown):
            execute("SELECT 1")


@contextmanager
def stopped(pid):
    """Let a server process do nothing: its side of the connection acknowledges, and does not answer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("kind", KINDS)
def test_unresponsive_connection_is_discarded_after_the_ping_timeout(kind, address, observer, monkeypatch):
    monkeypatch.setattr(acquire, "PING_TIMEOUT", 0.3)
    sync = connector(kind, address, min_size=1, timeout=20, check_after=0).get_sync_connector()
    sync.open()
    pid = sync.execute_query_one("SELECT pg_backend_pid() AS pid")["pid"]
    with stopped(pid):
        assert sync.execute_query_one("SELECT pg_backend_pid() AS pid")["pid"] != pid
        assert pool_stats(sync).connections_lost == 1
    sync.close()


class SlowToReturn(socket.socket):
    """A socket that has long been shut down when its `shutdown` returns."""

    def shutdown(self, how):
        super().shutdown(how)
        time.sleep(0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_unresponsive_connection_raises_ping_timeout(kind, address, monkeypatch):
    """The next one has less time to answer, as all may be silent."""
    names = {"dup": socket.dup, "SHUT_RDWR": socket.SHUT_RDWR}
    monkeypatch.setattr(liveness, "socket", SimpleNamespace(socket=SlowToReturn, **names))
    sync = connector(kind, address, min_size=1, max_size=1).get_sync_connector()
    sync.open()
    connection_factory = sync.own_pool.connection_factory
    with (
        closing(connection_factory.connect()) as connection,
        stopped(connection.info.backend_pid),
        pytest.raises(PingTimeout, match=r"no answer within 0\.05 s"),
    ):
        connection_factory.check_alive(connection, 0.05)
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_connection_shut_down_just_after_its_answer_raises_ping_timeout(kind, address):
    sync = connector(kind, address, min_size=1, max_size=1).get_sync_connector()
    sync.open()
    connection_factory = sync.own_pool.connection_factory

    def ask_too_late(connection):
        with liveness.shutdown_after(
            0.05, connection.fileno(), connection_factory.errors, liveness.call_in_thread
        ):
            connection_factory.ping(connection)
            time.sleep(0.5)

    with closing(connection_factory.connect()) as connection, pytest.raises(PingTimeout):
        ask_too_late(connection)
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_unresponsive_connection_of_a_task_is_discarded_after_the_ping_timeout(kind, address, monkeypatch):
    monkeypatch.setattr(acquire, "PING_TIMEOUT", 0.3)
    ours = connector(kind, address, min_size=1, timeout=20, check_after=0)

    async def scenario():
        await ours.open_async()
        ask = "SELECT pg_backend_pid() AS pid"
        pid = (await ours.execute_query_one_async(ask))["pid"]
        with stopped(pid):
            async with asyncio.timeout(10):
                assert (await ours.execute_query_one_async(ask))["pid"] != pid
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_dead_connections_do_not_shorten_the_ping_timeout(kind, server, database, observer, monkeypatch):
    """It had half as long after each of them, which is too short for a server that is not near."""
    monkeypatch.setattr(acquire, "PING_TIMEOUT", 3.0)
    with CountingProxy(server.host, server.port, delay=0.25) as proxy:
        address = {**server.parameters(database), "port": str(proxy.port)}
        # Each is asked, as it may take a moment until the proxy says that a connection has ended.
        sync = connector(kind, address, min_size=4, timeout=20, check_after=0).get_sync_connector()
        sync.open()
        observer.terminate()
        sync.execute_query("SELECT 1")
        assert pool_stats(sync).connections_lost == 4
        sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_new_connections_are_pinged_for_a_while_after_a_loss(kind, address, observer, monkeypatch):
    sync = connector(kind, address, min_size=1).get_sync_connector()
    sync.open()
    connection_factory = sync.own_pool.connection_factory
    observer.terminate()
    sync.execute_query("SELECT 1")
    with closing(connection_factory.connect()) as connection:
        assert connection_factory.should_ping(connection)
    monkeypatch.setattr(acquire, "LOSS_WINDOW", 0.0)
    with closing(connection_factory.connect()) as connection:
        assert not connection_factory.should_ping(connection)
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_max_waiting_does_not_reject_a_caller_who_got_a_dead_connection(kind, address):
    rejected = []

    def reject_the_first(connection):
        if not rejected:
            rejected.append(connection)
            wait_until(lambda: pool_stats(sync).waiting == 1)
            raise RuntimeError("not this one")

    options = {"min_size": 1, "max_waiting": 1, "timeout": 20, "check": reject_the_first}
    sync = connector(kind, address, **options).get_sync_connector()
    sync.open()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(sync.execute_query, "SELECT 1")
        wait_until(lambda: rejected)
        threads.submit(sync.execute_query, "SELECT 1").result()
        first.result()
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_timeout_error_names_the_reason_of_the_last_discarded_connection(kind, address):
    def reject(connection):
        raise RuntimeError("the tenant is not set")

    sync = connector(kind, address, min_size=1, timeout=2, check=reject).get_sync_connector()
    sync.open()
    with pytest.raises(ConnectorException) as caught:
        sync.execute_query("SELECT 1")
    assert "the last connection was not fit for use: the tenant is not set" in causes(caught.value)
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_timeout_error_of_a_task_names_the_reason_of_the_last_discarded_connection(kind, address):
    async def reject(connection):
        raise RuntimeError("the tenant is not set")

    ours = connector(kind, address, min_size=1, timeout=2, check=reject)

    async def scenario():
        await ours.open_async()
        async with asyncio.timeout(10):
            with pytest.raises(ConnectorException) as caught:
                await ours.execute_query_async("SELECT 1")
        await ours.close_async()
        return causes(caught.value)

    assert "the last connection was not fit for use: the tenant is not set" in asyncio.run(scenario())


@pytest.mark.skipif(
    "close_returns" not in psycopg_pool.ConnectionPool.__init__.__kwdefaults__,
    reason="psycopg_pool has the option from 3.3 on",
)
def test_rejected_connection_leaves_a_pool_with_close_returns(address):
    rejected = []

    def reject_the_first(connection):
        if not rejected:
            rejected.append(connection)
            raise RuntimeError("not this one")

    sync = connector("sync-psycopg", address, min_size=1, close_returns=True, check=reject_the_first)
    sync.open()
    sync.execute_query("SELECT 1")
    wait_until(lambda: pool_stats(sync).idle == 1)
    with sync.pool.connection() as connection:
        assert connection is not rejected[0]
    sync.close()


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_cancelled_tasks_lose_no_slot(kind, address):
    """psycopg_pool loses one where it is cancelled while it hands a connection to the next who waits."""
    ours = connector(kind, address, min_size=1, max_size=3, max_lifetime=0.5, timeout=20)
    chance = random.Random(12)

    async def calls():
        for _ in range(150):
            call = asyncio.create_task(ours.execute_query_async("SELECT 1"))
            await asyncio.sleep(chance.random() * chance.choice([0, 0.001, 0.003]))
            if chance.random() < 0.7:
                call.cancel()
            await asyncio.wait([call])

    async def scenario():
        await ours.open_async()
        await asyncio.gather(*(calls() for _ in range(8)))
        await asyncio.gather(*(ours.execute_query_async("SELECT pg_sleep(0.1)") for _ in range(3)))
        await soon(lambda: pool_stats(ours).in_use == 0)
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_cancelled_tasks_lose_no_slot_of_a_null_pool(kind, address):
    ours = connector(kind, address, null=True, max_size=2, timeout=5)

    async def scenario():
        await ours.open_async()
        open_connection = ours.own_pool.connection_factory.open_connection

        async def slowly(conninfo):
            await asyncio.sleep(0.3)
            return await open_connection(conninfo)

        first = await ours.own_pool.getconn()
        ours.own_pool.connection_factory.open_connection = slowly
        other = asyncio.create_task(ours.own_pool.getconn())  # which has the pool's lock while it connects
        await asyncio.sleep(0.1)
        returning = asyncio.create_task(ours.own_pool.putconn(first))
        await asyncio.sleep(0.1)
        returning.cancel()
        await asyncio.gather(returning, return_exceptions=True)
        await ours.own_pool.putconn(await other)
        await soon(lambda: pool_stats(ours).size == 0)
        await ours.close_async()

    asyncio.run(scenario())


def test_reconnect_timeout_of_0_makes_few_attempts(own_server):
    options = {"min_size": 1, "timeout": 1.5, "reconnect_timeout": 0}
    connectors = [connector(kind, own_server.parameters("jobs"), **options) for kind in SYNC_KINDS]
    for ours in connectors:
        ours.open()
    own_server.stop("immediate")

    def fails(ours):
        with pytest.raises(ConnectorException, match="Connection refused"):
            ours.execute_query("SELECT 1")
        assert 0 < pool_stats(ours).connections_failed < 10
        ours.close()

    with ThreadPoolExecutor() as threads:
        assert len(list(threads.map(fails, connectors))) == len(SYNC_KINDS)


def test_pauses_between_failing_listen_sessions_grow():
    started = 0

    async def listen_notify(_on_notification, _channels):
        nonlocal started
        started += 1
        raise ConnectorException

    async def ignore(**_):
        pass

    async def scenario():
        async with asyncio.timeout(1.8):
            await listen(connector(ConnectorKind.PSYCOPG, {}), listen_notify, ignore, ["one"])

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())
    assert started == 4  # at 0, 0, 0.5 and 1.5 seconds


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_listener_whose_cancellation_is_swallowed_ends_with_the_next_notification(kind, address, observer):
    """As asyncio.wait_for of Python 3.11 may swallow it; a worker that stops waits for its listener."""
    ours = connector(kind, address, min_size=1)

    async def scenario():
        async def swallow(**_):
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

        await ours.open_async()
        listening = asyncio.create_task(ours.listen_notify(swallow, ["one"]))
        received = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^LISTEN.*one' AND state = 'idle'"
        await soon(lambda: observer.one(received))
        observer.connection.execute("NOTIFY one")
        async with asyncio.timeout(10):  # it would end at the next look at the connection, after 30 s
            await asyncio.gather(listening, return_exceptions=True)
        assert listening.cancelled()
        await ours.close_async()

    asyncio.run(scenario())


def test_no_secret_is_in_the_repr_of_aiopgs_connection(address):
    ours = connector("aiopg", {**address, "sslpassword": "hush"}, min_size=1)

    async def scenario():
        await ours.open_async()
        async with ours.pool.acquire() as connection:
            shown = f"{connection!r} {connection} {connection.raw!r} {connection.raw}"
        await ours.close_async()
        return shown

    assert "hush" not in asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_no_piece_of_a_password_that_becomes_a_host_is_in_an_error_or_a_log_record(kind, caplog):
    """libpq takes what stands behind the first @ for the host, and tells that it cannot look it up."""
    dsn = "postgresql://app:a@hunter2@localhost:1/jobs"
    ours = make_connector(kind, dsn=dsn, pool={"timeout": 2}, env_file=None).get_sync_connector()
    with pytest.raises(ConnectorException) as caught:
        ours.open()
    message = causes(caught.value)
    assert "hunter2" not in message + caplog.text
    if kind.endswith("psycopg2") or kind == "aiopg" or not unmet(["psycopg>=3.3"]):  # older: names no host
        assert "********" in message


@contextmanager
def soft_time_limit(seconds):
    """Have an exception raised by a signal, as Celery does for its tasks."""

    def time_is_up(*_):
        raise LookupError("time is up")

    before = signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


on_unix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such signals on Windows")


@on_unix
@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_an_exception_from_a_signal_ends_the_wait_for_a_connection(kind, address):
    ours = connector(kind, address, min_size=1, max_size=1, timeout=10)
    ours.open()
    lent = ours.own_pool.getconn()
    with soft_time_limit(0.3), pytest.raises(LookupError, match="time is up"):
        ours.execute_query("SELECT 1")
    ours.own_pool.putconn(lent)
    ours.execute_query("SELECT 1")
    ours.close()


@on_unix
@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_an_exception_from_a_signal_ends_a_ping(kind, address, monkeypatch):
    """psycopg2 hears it only once the server has answered, or the connection is hung up."""
    monkeypatch.setattr(acquire, "PING_TIMEOUT", 1.0)
    ours = connector(kind, address, min_size=1, timeout=20, check_after=0)
    ours.open()
    with stopped(ours.execute_query_one("SELECT pg_backend_pid() AS pid")["pid"]):
        with soft_time_limit(0.3), pytest.raises(LookupError, match="time is up"):
            ours.execute_query("SELECT 1")
        ours.execute_query("SELECT 1")  # the slot is there again
    ours.close()


@on_unix
@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_an_exception_from_a_signal_ends_the_attempts_of_a_null_pool(kind, own_server):
    ours = connector(kind, own_server.parameters("jobs"), null=True, timeout=10)
    ours.open()
    own_server.stop("immediate")
    with soft_time_limit(0.3), pytest.raises(LookupError, match="time is up"):
        ours.execute_query("SELECT 1")
    ours.close()
