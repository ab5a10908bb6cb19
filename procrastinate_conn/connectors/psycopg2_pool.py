"""psycopg2's pool, on psycopg_pool: one that waits for a connection, and loses none."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from psycopg2.pool import ThreadedConnectionPool

from procrastinate_conn.connectors.pools import SyncPool
from procrastinate_conn.connectors.psycopg2_dialing import pool_errors


class WaitingConnectionPool(ThreadedConnectionPool):
    """A `psycopg2.pool.ThreadedConnectionPool` whose connections are kept by psycopg_pool.

    Parameters
    ----------
    core
        The pool that keeps them, open.
    """

    def __init__(self, core: SyncPool) -> None:
        super().__init__(0, core.max_size)  # which connects to nothing
        self.minconn = core.min_size
        self.core = core
        self._keyed: dict[Hashable, Any] = {}

    @property
    def closed(self) -> bool:
        """Whether it was closed, here or with its connector."""
        return self.core.closed

    @closed.setter
    def closed(self, value: bool) -> None:
        """Leave it to the core: psycopg2's pool sets it when it is made."""

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
        if key is not None and key in self._keyed:
            return self._keyed[key]
        with pool_errors():
            connection = self.core.getconn()
        if key is not None:
            self._keyed[key] = connection
        return connection

    def putconn(self, conn: Any = None, key: Hashable = None, close: bool = False) -> None:
        """Put a connection back.

        Parameters
        ----------
        conn
            The connection; with a key it may be left out.
        key
            The key that it was got with.
        close
            Whether to close it, so that a new one takes its place.
        """
        keyed = self._keyed.pop(key, None)
        conn = conn or keyed
        if close:
            conn.close()
        self.core.putconn(conn)

    def closeall(self) -> None:
        """Close the connections; those in use are closed when they are put back."""
        self.core.close()
