"""psycopg2's pool, on psycopg_pool: one that waits for a connection, and loses none."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import psycopg_pool
from psycopg2.pool import PoolError, ThreadedConnectionPool

from procrastinate_conn.connectors.runtime.pools import SyncPool


@contextmanager
def pool_errors() -> Iterator[None]:
    """Turn psycopg_pool's errors into psycopg2's error for pools, with the same message.

    Raises
    ------
    psycopg2.pool.PoolError
        Its cause is psycopg_pool's error.
    """
    try:
        yield
    except (psycopg_pool.PoolClosed, psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests) as error:
        raise PoolError(str(error)) from error


class Psycopg2PoolAdapter(ThreadedConnectionPool):
    """A `psycopg2.pool.ThreadedConnectionPool` whose connections are kept by psycopg_pool.

    Parameters
    ----------
    pool
        psycopg_pool's, open.
    """

    def __init__(self, pool: SyncPool) -> None:
        super().__init__(0, pool.max_size)  # which connects to nothing
        self.minconn = pool.min_size
        self.pool = pool
        self._in_use: WeakKeyDictionary[Any, Hashable] = WeakKeyDictionary()
        self._by_key: dict[Hashable, Any] = {}
        self._noting = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether the pool was closed, here or with its connector."""
        return self.pool.closed

    @closed.setter
    def closed(self, value: bool) -> None:
        """Ignore the value that psycopg2's pool sets when it is made."""

    def getconn(self, key: Hashable = None) -> Any:
        """Return a connection, waiting for one if need be.

        Parameters
        ----------
        key
            The same key gives the same connection until that is put back.

        Raises
        ------
        psycopg2.pool.PoolError
            There is none within the pool's `timeout`, too many wait already, or the pool is closed.
        """
        if key is not None and (keyed := self._by_key.get(key)) is not None:
            return keyed
        with pool_errors():
            connection = self.pool.getconn()
        with self._noting:
            keyed = connection if key is None else self._by_key.setdefault(key, connection)
            if keyed is connection:
                self._in_use[connection] = key
        if keyed is not connection:  # another thread was faster
            self.pool.putconn(connection)
        return keyed

    def putconn(self, conn: Any = None, key: Hashable = None, close: bool = False) -> None:
        """Put a connection back.

        Parameters
        ----------
        conn
            The connection; may be left out if there is a key.
        key
            The key that it was acquired with; may be left out if there is a connection.
        close
            Whether to close it, so that a new one takes its place.

        Raises
        ------
        psycopg2.pool.PoolError
            It was put back before, or comes from elsewhere.
        """
        with self._noting:
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
