"""aiopg's pool, on psycopg_pool."""

from __future__ import annotations

import asyncio
from typing import Any

import aiopg

from procrastinate_conn.connectors.psycopg2.errors import pool_errors
from procrastinate_conn.connectors.runtime.pools import AsyncPool


class AiopgPoolAdapter(aiopg.Pool):
    """An `aiopg.Pool` whose connections are kept by psycopg_pool.

    Parameters
    ----------
    pool
        The pool that keeps them, open.
    """

    def __init__(self, pool: AsyncPool) -> None:
        super().__init__(
            "",
            0,
            pool.max_size,
            pool.timeout,
            enable_json=False,
            enable_hstore=False,
            enable_uuid=False,
            echo=False,
            on_connect=None,
            pool_recycle=-1.0,
        )  # which connects to nothing
        self.pool = pool
        self._closing_down = False
        self._out: set[Any] = set()
        self._all_back = asyncio.Event()
        self._all_back.set()

    @property
    def minsize(self) -> int:
        """Connections kept."""
        return self.pool.min_size

    @property
    def size(self) -> int:
        """Connections there are, in use or not."""
        return self.pool.get_stats()["pool_size"]

    @property
    def freesize(self) -> int:
        """Connections that are not in use."""
        return self.pool.get_stats()["pool_available"]

    @property
    def closed(self) -> bool:
        """Whether `wait_closed` was called."""
        return self.pool.closed

    async def _acquire(self) -> Any:
        """Return a connection, waiting for one if need be.

        The one private method of aiopg's that is overridden in this package: all its ways to get a connection
        (`acquire`, `cursor`, ``await pool``) come through here.
        """
        if self._closing_down:
            raise RuntimeError("Cannot acquire connection after closing pool")
        with pool_errors():
            connection = await self.pool.getconn()
        self._out.add(connection)
        self._all_back.clear()
        return connection

    def release(self, conn: Any) -> asyncio.Future[None]:
        """Put a connection back."""
        self._out.discard(conn)
        if not self._out:
            self._all_back.set()
        return asyncio.ensure_future(self.pool.putconn(conn))

    def close(self) -> None:
        """Hand out no more connections."""
        self._closing_down = True

    async def wait_closed(self) -> None:
        """Close every connection, those in use once they are put back.

        Raises
        ------
        RuntimeError
            `close` was not called before.
        """
        if not self._closing_down:
            raise RuntimeError(".wait_closed() should be called after .close()")
        await self.pool.close()
        await self._all_back.wait()

    def terminate(self) -> None:
        """Hand out no more connections, and close those in use at once."""
        self.close()
        for connection in self._out:
            connection.close()

    async def clear(self) -> None:
        """Close the connections that are not in use; new ones take the places of `minsize`."""
        for _ in range(self.freesize):
            connection = await self.pool.getconn()
            await connection.close()
            await self.pool.putconn(connection)
