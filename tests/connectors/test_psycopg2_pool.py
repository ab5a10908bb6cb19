"""The pool of the psycopg2 connector behaves as psycopg2's pools do, with keys and with strangers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2.pool import PoolError, ThreadedConnectionPool

from procrastinate_conn.registry import ConnectorKind
from tests.servers import connector


@pytest.fixture(params=["ours", "psycopg2's"])
def pool(request, server, database):
    """A pool of two connections: what is said of ours holds for psycopg2's own."""
    if request.param == "psycopg2's":
        theirs = ThreadedConnectionPool(0, 2, server.dsn(database))
        yield theirs
        theirs.closeall()
        return
    ours = connector(ConnectorKind.PSYCOPG2, server.parameters(database), min_size=0, max_size=2, timeout=5)
    ours.open()
    yield ours.pool
    ours.close()


def test_a_key_is_forgotten_with_its_connection(pool):
    """Otherwise two users would have one connection, and each end the other one's transactions."""
    pool.putconn(pool.getconn("key"))
    other = pool.getconn()
    keyed = pool.getconn("key")
    assert keyed is not other
    assert pool.getconn("key") is keyed
    pool.putconn(other)
    pool.putconn(keyed, "key")


def test_connection_put_back_twice_raises_pool_error(pool):
    connection = pool.getconn()
    pool.putconn(connection)
    with pytest.raises(PoolError):
        pool.putconn(connection)


def test_connection_from_elsewhere_raises_pool_error(pool, server, database):
    connection = psycopg2.connect(server.dsn(database))
    with pytest.raises(PoolError):
        pool.putconn(connection)
    with pytest.raises(PoolError):
        pool.putconn(connection, close=True)
    assert not connection.closed
    connection.close()


@pytest.mark.parametrize("key", [None, "unknown"])
@pytest.mark.parametrize("pool", ["ours"], indirect=True)
def test_unknown_key_raises_pool_error(pool, key):
    with pytest.raises(PoolError):
        pool.putconn(key=key)


def test_threads_that_use_one_key_share_a_connection(pool, monkeypatch):
    """The one that was faster; nobody would put the other one back."""
    both = threading.Barrier(2)
    if hasattr(pool, "pool"):
        getconn = pool.pool.getconn

        def at_once():
            connection = getconn()
            both.wait(5)
            return connection

        monkeypatch.setattr(pool.pool, "getconn", at_once)
    with ThreadPoolExecutor(2) as threads:
        first, second = [call.result() for call in [threads.submit(pool.getconn, "key") for _ in range(2)]]
    monkeypatch.undo()
    assert first is second
    pool.putconn(first)
    out = [pool.getconn(), pool.getconn()]
    assert out[0] is not out[1]
    for connection in out:
        pool.putconn(connection)
