"""`connector.pool` and `connector.engine` behave as the drivers' own."""

from __future__ import annotations

import asyncio
import threading

import pytest
from psycopg2.pool import PoolError
from sqlalchemy import text

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import ConnectorKind
from tests.servers import connector, soon, wait_until


@pytest.fixture
def psycopg2_connector(address):
    ours = connector(ConnectorKind.PSYCOPG2, address, min_size=1, max_size=2, timeout=2)
    ours.open()
    yield ours
    ours.close()


@pytest.fixture
def engine_connector(address):
    ours = connector(ConnectorKind.SQLALCHEMY_PSYCOPG2, address, min_size=1, max_size=2, timeout=2)
    ours.open()
    yield ours
    ours.close()


def test_psycopg2_pool_acquires_waits_and_takes_connections_back(psycopg2_connector):
    pool = psycopg2_connector.pool
    assert (pool.minconn, pool.maxconn, pool.closed) == (1, 2, False)
    one, two = pool.getconn(), pool.getconn()
    with pytest.raises(PoolError, match="couldn't get a connection after"):
        pool.getconn()
    pool.putconn(one)
    assert pool.getconn() is one
    pool.putconn(one)
    pool.putconn(two, close=True)
    wait_until(lambda: pool_stats(psycopg2_connector).idle == 2)
    assert two.closed


def test_psycopg2_pool_returns_the_same_connection_for_a_key(psycopg2_connector):
    pool = psycopg2_connector.pool
    one = pool.getconn("key")
    assert pool.getconn("key") is one
    assert pool.getconn("other") is not one
    pool.putconn(one, "key")
    assert pool.getconn("next") is one
    pool.putconn(key="other")
    pool.putconn(key="next")
    assert pool_stats(psycopg2_connector).in_use == 0


def test_psycopg2_connection_has_transactions_as_a_context_manager(psycopg2_connector, observer):
    pool = psycopg2_connector.pool
    connection = pool.getconn()
    with pytest.raises(ZeroDivisionError):
        undone(connection)
    pool.putconn(connection)
    assert observer.one("SELECT to_regclass('undone') IS NULL")


def undone(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE undone ()")
        raise ZeroDivisionError


def test_open_psycopg2_transaction_is_rolled_back_on_return_to_the_pool(psycopg2_connector, observer):
    pool = psycopg2_connector.pool
    connection = pool.getconn()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("CREATE TABLE undone ()")
    pool.putconn(connection)
    assert observer.one("SELECT to_regclass('undone') IS NULL")
    assert observer.one("SELECT count(*) FROM pg_stat_activity WHERE state ~ 'in transaction'") == 0


def test_open_aiopg_transaction_is_rolled_back_on_return_to_the_pool(address, observer):
    async def scenario():
        ours = connector(ConnectorKind.AIOPG, address, min_size=1)
        await ours.open_async()
        async with ours.pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("BEGIN")
            await cursor.execute("CREATE TABLE undone ()")
        assert observer.one("SELECT to_regclass('undone') IS NULL")
        assert observer.one("SELECT count(*) FROM pg_stat_activity WHERE state ~ 'in transaction'") == 0
        assert pool_stats(ours).connections_lost == 0
        await ours.close_async()

    asyncio.run(scenario())


def test_closed_psycopg2_pool_raises_pool_error(psycopg2_connector):
    pool = psycopg2_connector.pool
    connection = pool.getconn()
    pool.closeall()
    assert pool.closed
    with pytest.raises(PoolError, match="closed"):
        pool.getconn()
    pool.putconn(connection)
    assert connection.closed


def test_repr_of_psycopg2_connection_has_no_dsn(psycopg2_connector):
    connection = psycopg2_connector.pool.getconn()
    assert "dsn" not in f"{connection} {connection!r}"
    psycopg2_connector.pool.putconn(connection)


def test_aiopg_pool_acquires_in_every_way_of_aiopg(address):
    async def scenario():
        ours = connector(ConnectorKind.AIOPG, address, min_size=1, max_size=2, timeout=2)
        await ours.open_async()
        pool = ours.pool
        assert (pool.minsize, pool.maxsize, pool.size, pool.freesize, pool.timeout) == (1, 2, 1, 1, 2)
        async with pool.acquire() as connection, connection.cursor() as cursor:
            assert (pool.size, pool.freesize) == (1, 0)
            await cursor.execute("SELECT 1 AS one")
            assert await cursor.fetchone() == {"one": 1}
        with await pool.cursor() as cursor:
            await cursor.execute("SELECT 1")
        with await pool as connection:
            assert not connection.closed
        one, two = await pool.acquire(), await pool.acquire()
        with pytest.raises(PoolError, match="couldn't get a connection after"):
            await pool.acquire()
        await pool.release(one)
        await pool.release(two)
        assert pool_stats(ours).in_use == 0
        await pool.clear()
        assert one.closed
        assert two.closed
        await soon(lambda: pool.freesize == 2)
        await ours.close_async()
        assert pool.closed

    asyncio.run(scenario())


def test_closing_aiopg_pool_waits_for_connections_in_use(address):
    async def scenario():
        ours = connector(ConnectorKind.AIOPG, address, min_size=1, max_size=2)
        await ours.open_async()
        pool = ours.pool
        connection = await pool.acquire()
        with pytest.raises(RuntimeError, match="after"):
            await pool.wait_closed()
        pool.close()
        with pytest.raises(RuntimeError, match="after closing"):
            await pool.acquire()
        closed = asyncio.create_task(pool.wait_closed())
        await soon(lambda: pool.closed)
        assert not closed.done()
        await pool.release(connection)
        await closed
        assert connection.closed

    asyncio.run(scenario())


def test_terminated_aiopg_pool_closes_connections_in_use(address):
    async def scenario():
        ours = connector(ConnectorKind.AIOPG, address, min_size=1)
        await ours.open_async()
        connection = await ours.pool.acquire()
        ours.pool.terminate()
        assert connection.closed
        await ours.pool.release(connection)
        await ours.close_async()

    asyncio.run(scenario())


def test_engine_acquires_waits_and_takes_connections_back(engine_connector, observer):
    engine = engine_connector.engine
    with engine.connect() as one, engine.connect() as two:
        one.execute(text("CREATE TABLE undone ()"))
        two.execute(text("SELECT 1"))
        thread = threading.Thread(target=engine_connector.execute_query, args=["SELECT 1"])
        thread.start()
        wait_until(lambda: pool_stats(engine_connector).waiting == 1)
    thread.join(20)
    assert observer.one("SELECT to_regclass('undone') IS NULL")
    assert pool_stats(engine_connector).in_use == 0


def test_invalidated_sqlalchemy_connection_loses_no_slot(engine_connector):
    with engine_connector.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.invalidate()
    wait_until(lambda: pool_stats(engine_connector).idle == 1)
    engine_connector.execute_query("SELECT 1")


def test_isolation_level_is_reset_on_return_to_the_pool(engine_connector):
    engine = engine_connector.engine
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "serializable"
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
    row = engine_connector.execute_query_one("SELECT current_setting('transaction_isolation') AS level")
    assert row["level"] == "read committed"
