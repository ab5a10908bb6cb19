"""Opening and closing: with a pool of ours or of the caller's, with a server that is there or not."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
import socket
from functools import partial

import aiopg
import asyncpg
import psycopg
import psycopg2.extras
import psycopg_pool
import pytest
import sqlalchemy
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AppNotOpen, ConnectorException
from procrastinate.testing import InMemoryConnector
from psycopg2.pool import ThreadedConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.servers import ASYNC_KINDS, KINDS, SYNC_KINDS, app, connector, wait_until
from tests.tls import TlsProxy

ENGINE_KINDS = [kind for kind in SYNC_KINDS if "sqlalchemy" in REGISTRY[kind].drivers]
ELSEWHERE = {"host": "127.0.0.1", "port": "1", "user": "nobody", "dbname": "nowhere", "password": "s3cret"}
TYPES = {
    "psycopg": psycopg_pool.AsyncConnectionPool,
    "aiopg": aiopg.Pool,
    "sync-psycopg": psycopg_pool.ConnectionPool,
    "psycopg2": ThreadedConnectionPool,
    "sqlalchemy-psycopg2": sqlalchemy.Engine,
    "sqlalchemy-psycopg": sqlalchemy.Engine,
    "sqlalchemy-async": AsyncEngine,
    "asyncpg": psycopg_pool.AsyncConnectionPool,
}


def pool_of(connector):
    """Return the pool or engine, as procrastinate's connector gives it."""
    return connector.engine if hasattr(connector, "engine") else connector.pool


def callers_pool(kind, server, database):
    """Return a pool, or an engine, that the application made, and how it closes it."""
    dsn = server.dsn(database)
    if kind == "sync-psycopg":
        pool = psycopg_pool.ConnectionPool(dsn, open=True, min_size=1)
        return pool, pool.close
    if kind == "psycopg2":
        pool = ThreadedConnectionPool(1, 2, dsn, cursor_factory=psycopg2.extras.RealDictCursor)
        return pool, pool.closeall
    url = f"postgresql+{kind.removeprefix('sqlalchemy-')}://"
    engine = sqlalchemy.create_engine(url, connect_args=server.parameters(database))
    return engine, engine.dispose


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ASYNC_KINDS])
def test_a_synchronous_pool_of_the_callers_is_used_and_left_open(kind, server, database, observer):
    jobs = app(connector(kind, ELSEWHERE))
    pool, close = callers_pool(kind, server, database)
    with jobs.open(pool):
        assert pool_of(jobs.connector) is pool
        jobs.tasks["work"].defer(argument="lent")
        assert jobs.check_connection()
    assert observer.jobs() == ["lent"]
    assert observer.backends() == 1
    with jobs.open(pool):
        jobs.tasks["work"].defer(argument="again")
    assert observer.jobs() == ["lent", "again"]
    close()


async def async_callers_pool(kind, server, database):
    """Return a pool, or an engine, that the application made, and how it uses and closes it."""
    address, dsn = server.parameters(database), server.dsn(database)
    if kind == "sqlalchemy-async":
        pool = create_async_engine("postgresql+psycopg://", connect_args=address)

        async def use():
            async with pool.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")

        return pool, use, pool.dispose
    if kind == "psycopg":
        pool = psycopg_pool.AsyncConnectionPool(dsn, open=False, kwargs={}, min_size=1)
        await pool.open(wait=True)

        async def use():
            async with pool.connection() as connection:
                await connection.execute("SELECT 1")

        return pool, use, pool.close
    if kind == "asyncpg":
        pool = await asyncpg.create_pool(database=address.pop("dbname"), **address, min_size=1)
        return pool, partial(pool.execute, "SELECT 1"), pool.close
    pool = await aiopg.create_pool(dsn, cursor_factory=psycopg2.extras.RealDictCursor)

    async def use():
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT 1")

    async def close():
        pool.close()
        await pool.wait_closed()

    return pool, use, close


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_an_asynchronous_pool_of_the_callers_is_used_and_left_open(kind, server, database, observer):
    jobs = app(connector(kind, ELSEWHERE))

    async def scenario():
        pool, use, close = await async_callers_pool(kind, server, database)
        async with jobs.open_async(pool):
            assert pool_of(jobs.connector) is pool
            await jobs.tasks["work"].defer_async(argument="lent")
            await jobs.run_worker_async(wait=False, install_signal_handlers=False)
        await use()
        await close()

    asyncio.run(scenario())
    assert observer.jobs() == jobs.worked == ["lent"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_of_the_callers_drops_a_session_in_which_the_server_rejects_queries(
    kind, server, database, observer
):
    """As after a standby was promoted: the call fails, and the next one has a new session."""
    jobs = app(connector(kind, ELSEWHERE))
    read_only = f"ALTER DATABASE {database} SET default_transaction_read_only = "
    observer.connection.execute(read_only + "on")

    def synchronously():
        pool, close = callers_pool(kind, server, database)
        with jobs.open(pool):
            assert jobs.check_connection()
            observer.connection.execute(read_only + "off")
            with pytest.raises(ConnectorException, match="read-only"):
                jobs.tasks["work"].defer(argument=1)
            jobs.tasks["work"].defer(argument=2)
        close()

    async def asynchronously():
        pool, use, close = await async_callers_pool(kind, server, database)
        async with jobs.open_async(pool):
            await use()
            observer.connection.execute(read_only + "off")
            with pytest.raises(ConnectorException, match="read-only"):
                await jobs.tasks["work"].defer_async(argument=1)
            await jobs.tasks["work"].defer_async(argument=2)
        await close()

    asyncio.run(asynchronously()) if kind in ASYNC_KINDS else synchronously()
    assert observer.jobs() == [2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_pool_is_of_the_type_that_procrastinate_documents(kind, address):
    ours = connector(kind, address, min_size=1)

    async def scenario():
        await ours.open_async()
        assert isinstance(pool_of(ours), TYPES[kind])
        await ours.close_async()

    if kind in ASYNC_KINDS:
        asyncio.run(scenario())
    else:
        ours.open()
        assert isinstance(pool_of(ours), TYPES[kind])
        ours.close()


OTHER_POOLS = {
    "psycopg": ("ConnectionPool", lambda: psycopg_pool.ConnectionPool(open=False)),
    "aiopg": ("ThreadedConnectionPool", lambda: ThreadedConnectionPool(0, 1)),
    "sync-psycopg": ("ThreadedConnectionPool", lambda: ThreadedConnectionPool(0, 1)),
    "psycopg2": ("Engine", lambda: sqlalchemy.create_engine("postgresql+psycopg2://")),
}


@pytest.mark.parametrize("kind", OTHER_POOLS)
def test_a_pool_of_another_driver_is_rejected_naming_both(kind):
    ours = connector(kind, ELSEWHERE)
    given, make = OTHER_POOLS[kind]
    with pytest.raises(
        ConnectorException, match=rf"{kind} connector takes .*{ours.pool_class.__name__}"
    ) as caught:
        asyncio.run(ours.open_async(make())) if kind in ASYNC_KINDS else ours.open(make())
    assert str(caught.value).endswith(given)
    assert ours.pool_or_none is None


def test_statistics_of_procrastinates_in_memory_connector_are_zero():
    assert set(dataclasses.astuple(pool_stats(InMemoryConnector()))) == {0}


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_connector_that_nobody_closes_logs_no_error(kind, address, caplog):
    ours = connector(kind, address, min_size=2)
    asyncio.run(ours.open_async())
    del ours
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("kind", KINDS)
def test_connector_opens_once_and_again_after_closing(kind, address, observer):
    sync = connector(kind, address, min_size=1).get_sync_connector()
    with pytest.raises(AppNotOpen):
        sync.execute_query("SELECT 1")
    for _ in range(2):
        sync.open()
        sync.open()
        assert observer.backends() == 1
        sync.execute_query("SELECT 1")
        sync.close()
        sync.close()
        wait_until(lambda: observer.backends() == 0)
        with pytest.raises(AppNotOpen):
            sync.execute_query("SELECT 1")
        with pytest.raises(AppNotOpen):
            pool_stats(sync)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_tasks_that_open_at_the_same_time_share_one_pool(kind, address, observer):
    ours = connector(kind, address, min_size=1)

    async def scenario():
        await asyncio.gather(*(ours.open_async() for _ in range(5)))
        await ours.execute_query_async("SELECT 1")
        await asyncio.to_thread(wait_until, lambda: observer.backends() == 1)
        await ours.close_async()

    asyncio.run(scenario())
    wait_until(lambda: observer.backends() == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_opening_without_a_server_raises_the_reason_after_the_timeout(kind, caplog):
    caplog.set_level(logging.DEBUG)
    ours = connector(kind, ELSEWHERE, min_size=1, timeout=2)
    with pytest.raises(ConnectorException) as caught:
        asyncio.run(ours.open_async()) if kind in ASYNC_KINDS else ours.open()
    cause = caught.value.__cause__
    assert str(cause).startswith(
        "pool initialization incomplete after 2.00 sec; the last attempt to connect failed:"
    )
    assert "Connection refused" in str(cause)
    assert isinstance(cause.__cause__, psycopg.Error | psycopg2.Error)
    assert "s3cret" not in caplog.text + repr(vars(ours))
    with pytest.raises(AppNotOpen):
        pool_of(ours)


@pytest.mark.parametrize("kind", KINDS)
def test_an_opening_that_failed_can_be_tried_again(kind, own_server):
    own_server.stop()
    ours = connector(kind, own_server.parameters("jobs"), min_size=1, timeout=3)
    jobs = app(ours.get_sync_connector())
    with pytest.raises(ConnectorException):
        jobs.open()
    own_server.start()
    with jobs.open():
        jobs.tasks["work"].defer()


@pytest.mark.parametrize("kind", KINDS)
def test_closures_as_json_functions_are_used_without_a_warning_of_the_driver(kind, address, observer, caplog):
    key = "wrapped"

    def dumps(value):
        return json.dumps({key: value})

    def loads(text):
        assert isinstance(text, str)
        return json.loads(text)[key]

    ours = connector(kind, address, min_size=1, json_dumps=dumps, json_loads=loads)
    query = "SELECT %(value)s::jsonb AS value"

    async def scenario():
        await ours.open_async()
        row = await ours.execute_query_one_async(query, value={"a": 1})
        await ours.close_async()
        return row

    sync = ours.get_sync_connector()
    sync.open()
    assert sync.execute_query_one(query, value={"a": 1})["value"] == {"a": 1}
    assert sync.execute_query_one("SELECT '{\"wrapped\": 7}'::jsonb AS value")["value"] == 7
    app(sync).tasks["work"].defer(argument=1)
    sync.close()
    assert observer.one("SELECT args FROM procrastinate_jobs") == {"wrapped": {"argument": 1}}
    if kind in ASYNC_KINDS:
        assert asyncio.run(scenario())["value"] == {"a": 1}
    assert "WARNING" not in {record.levelname for record in caplog.records}


@pytest.mark.parametrize("kind", KINDS)
def test_passwords_that_change_are_read_anew(kind, scram_server):
    asked = []

    def password():
        asked.append(1)
        return scram_server.password

    address = {k: v for k, v in scram_server.parameters("jobs").items() if k != "password"}
    sync = connector(kind, address, min_size=2, password=password).get_sync_connector()
    sync.open()
    sync.execute_query("SELECT 1")
    assert len(asked) == 2
    sync.close()


@pytest.mark.parametrize("kind", KINDS)
def test_opening_names_a_password_source_that_fails(kind, address):
    def password():
        raise OSError("the vault is sealed")

    sync = connector(kind, address, min_size=1, timeout=2, password=password).get_sync_connector()
    with pytest.raises(ConnectorException) as caught:
        sync.open()
    assert "the source of the password failed: the vault is sealed" in str(caught.value.__cause__)


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_an_engine_has_transactions_as_any_engine_has(kind, address, observer):
    ours = connector(kind, address, min_size=1)
    ours.open()
    with ours.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE undone ()")
    with ours.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE done ()")
    assert observer.one("SELECT to_regclass('undone') IS NULL AND to_regclass('done') IS NOT NULL")
    ours.close()


@pytest.mark.skipif(
    not hasattr(BaseConnector, "execute_query_all_with_connection"), reason="procrastinate had none then"
)
@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_external_connections_keep_their_transactions(kind, address, observer):
    sync = app(connector(ConnectorKind.SYNC_PSYCOPG, address, min_size=1))
    alchemy = app(connector(kind, address, min_size=1))
    with sync.open(), alchemy.open():
        with sync.connector.pool.connection() as connection, connection.transaction(force_rollback=True):
            sync.tasks["work"].configure(connection=connection).defer()
        with alchemy.connector.engine.connect() as connection:
            alchemy.tasks["work"].configure(connection=connection).defer()
            connection.rollback()
        assert observer.jobs() == []


@pytest.mark.parametrize("kind", KINDS)
def test_sslmode_prefer_connects_without_tls_to_a_server_that_has_none(kind, server, database):
    with TlsProxy(server.host, server.port, rejects_tls=True) as proxy:
        address = {**server.parameters(database), "port": str(proxy.port), "sslmode": "prefer"}
        jobs = app(connector(kind, address, min_size=1, timeout=10))
        if kind in ASYNC_KINDS:

            async def scenario():
                async with jobs.open_async():
                    await jobs.tasks["work"].defer_async(argument="in clear")

            asyncio.run(scenario())
        else:
            with jobs.open():
                jobs.tasks["work"].defer(argument="in clear")


def test_aiopg_watches_a_new_socket_with_the_descriptor_of_a_closed_one(server, database):
    """Where another thread has the number for a moment, aiopg leaves a reader for it with the event loop."""
    jobs = app(connector("aiopg", server.parameters(database), min_size=1, timeout=5))

    async def scenario():
        loop = asyncio.get_running_loop()
        async with jobs.open_async():
            closed, other = socket.socketpair()
            loop.add_reader(closed.fileno(), lambda: None)
            number = closed.fileno()
            closed.close()
            connection = await jobs.connector.make_connection_factory().connect()
            assert connection.raw.fileno() == number
            await connection.close()
            other.close()

    asyncio.run(scenario())


def test_closing_a_connection_of_aiopg_twice_leaves_the_next_one_alone(server, database):
    ours = connector("aiopg", server.parameters(database), min_size=0, max_size=2, timeout=5)

    async def scenario():
        await ours.open_async()
        first = await ours.pool.acquire()
        number = first.raw.fileno()
        await first.close()
        second = await ours.pool.acquire()
        assert second.raw.fileno() == number
        await ours.pool.release(first)
        async with second.cursor() as cursor:
            await cursor.execute("SELECT 1", timeout=5)
        await ours.pool.release(second)
        await ours.close_async()

    asyncio.run(scenario())
