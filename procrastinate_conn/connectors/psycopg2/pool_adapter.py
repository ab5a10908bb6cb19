"""psycopg2's pool, on psycopg_pool: one that waits for a connection, and loses none."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

from psycopg2.pool import PoolError, ThreadedConnectionPool

from procrastinate_conn.connectors.psycopg2.errors import pool_errors
from procrastinate_conn.connectors.runtime.pools import SyncPool


class Psycopg2PoolAdapter(ThreadedConnectionPool):
    """A `psycopg2.pool.ThreadedConnectionPool` whose connections are kept by psycopg_pool.

    Parameters
    ----------
    pool
        The pool that keeps them, open.
    """

    def __init__(self, pool: SyncPool) -> None:
        super().__init__(0, pool.max_size)  # which connects to nothing
        self.minconn = pool.min_size
        self.pool = pool
        self._out: WeakKeyDictionary[Any, Hashable] = WeakKeyDictionary()
        self._keyed: dict[Hashable, Any] = {}
        self._noting = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether it was closed, here or with its connector."""
        return self.pool.closed

    @closed.setter
    def closed(self, value: bool) -> None:
        """Leave it to the pool: psycopg2's pool sets it when it is made."""

    def getconn(self, key: Hashable = None) -> Any:
        """Return a connection, waiting for one if need be.

        Parameters
        ----------
        key
            The same key gives the same connection until it is put back.

        Raises
        ------
        psycopg2.pool.PoolError
            There is none within the pool's `timeout`, too many wait already, or the pool is closed.
        """
        if key is not None and (kept := self._keyed.get(key)) is not None:
            return kept
        with pool_errors():
            connection = self.pool.getconn()
        with self._noting:
            kept = connection if key is None else self._keyed.setdefault(key, connection)
            if kept is connection:
                self._out[connection] = key
        if kept is not connection:  # another thread was faster
            self.pool.putconn(connection)
        return kept

    def putconn(self, conn: Any = None, key: Hashable = None, close: bool = False) -> None:
        """Put a connection back.

        Parameters
        ----------
        conn
            The connection; with a key it may be left out.
        key
            The key that it was got with; with a connection it may be left out.
        close
            Whether to close it, so that a new one takes its place.

        Raises
        ------
        psycopg2.pool.PoolError
            It is not out: it was put back before, or comes from elsewhere.
        """
        with self._noting:
            if conn is None:
                conn = self._keyed.get(key)
            if conn not in self._out:
                raise PoolError("trying to put back a connection that is not out")
            self._keyed.pop(self._out.pop(conn), None)
        if close:
            conn.close()
        self.pool.putconn(conn)

    def closeall(self) -> None:
        """Close the connections; those in use are closed when they are put back."""
        self.pool.close()
