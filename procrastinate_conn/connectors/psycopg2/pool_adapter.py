"""psycopg2's pool, on psycopg_pool: one that waits for a connection, and loses none."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

import psycopg_pool
from psycopg2.pool import PoolError, ThreadedConnectionPool

from procrastinate_conn.connectors.runtime.pools import SyncPool


@contextmanager
def pool_errors() -> Iterator[None]:
    """Turn psycopg_pool's errors into psycopg2's error for pools, with the same message."""
    try:
        yield
    except (psycopg_pool.PoolClosed, psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests) as error:
        raise PoolError(str(error)) from error


class Psycopg2PoolAdapter(ThreadedConnectionPool):
    """A `psycopg2.pool.ThreadedConnectionPool` whose connections are kept by an open pool of ours."""

    def __init__(self, pool: SyncPool) -> None:
        super().__init__(0, pool.max_size)  # which connects to nothing
        self.minconn = pool.min_size
        self.pool = pool
        self._in_use: WeakKeyDictionary[Any, Hashable] = WeakKeyDictionary()
        self._by_key: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    # The value that psycopg2's pool sets when it is made is ignored.
    closed = property(attrgetter("pool.closed"), lambda _self, _value: None)

    def getconn(self, key: Hashable = None) -> Any:
        """Return a connection, waiting for one if need be; the same one for a key until that is put back."""
        if key is not None and (keyed := self._by_key.get(key)) is not None:
            return keyed
        with pool_errors():
            connection = self.pool.getconn()
        with self._lock:
            keyed = connection if key is None else self._by_key.setdefault(key, connection)
            if keyed is connection:
                self._in_use[connection] = key
        if keyed is not connection:  # another thread was faster
            self.pool.putconn(connection)
        return keyed

    def putconn(self, conn: Any = None, key: Hashable = None, close: bool = False) -> None:
        """Put back the connection, or the one of a key; `PoolError` is raised if it is not in use."""
        with self._lock:
            if conn is None:
                conn = self._by_key.get(key)
            if conn not in self._in_use:
                raise PoolError("trying to put back a connection that is not in use")
            self._by_key.pop(self._in_use.pop(conn), None)
        if close:
            conn.close()
        self.pool.putconn(conn)

    def closeall(self) -> None:
        """Close the connections; those in use are closed when they are put back."""
        self.pool.close()
