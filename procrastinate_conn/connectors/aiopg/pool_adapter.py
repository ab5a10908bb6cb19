"""aiopg's pool, on psycopg_pool."""

from __future__ import annotations

import asyncio
from typing import Any

import aiopg

from procrastinate_conn.connectors.psycopg2.pool_adapter import pool_errors
from procrastinate_conn.connectors.runtime.pools import AsyncPool


class AiopgPoolAdapter(aiopg.Pool):
    """An `aiopg.Pool` whose connections are kept by an open pool of ours."""

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
        self._is_closing = False
        self._in_use: set[Any] = set()
        self._none_in_use = asyncio.Event()
        self._none_in_use.set()

    @property
    def minsize(self) -> int:
        return self.pool.min_size

    @property
    def size(self) -> int:
        return self.pool.get_stats()["pool_size"]

    @property
    def freesize(self) -> int:
        return self.pool.get_stats()["pool_available"]

    @property
    def closed(self) -> bool:
        return self.pool.closed

    async def _acquire(self) -> Any:
        """Return a connection, waiting for one if need be.

        The one private method of aiopg's that is overridden in this package: all its ways to get a connection
        (`acquire`, `cursor`, ``await pool``) come through here.
        """
        if self._is_closing:
            raise RuntimeError("Cannot acquire connection after closing pool")
        with pool_errors():
            connection = await self.pool.getconn()
        self._in_use.add(connection)
        self._none_in_use.clear()
        return connection

    def release(self, conn: Any) -> asyncio.Future[None]:
        """Put a connection back."""
        self._in_use.discard(conn)
        if not self._in_use:
            self._none_in_use.set()
        return asyncio.ensure_future(self.pool.putconn(conn))

    def close(self) -> None:
        """Hand out no more connections."""
        self._is_closing = True

    async def wait_closed(self) -> None:
        """Close every connection; wait for those in use."""
        if not self._is_closing:
            raise RuntimeError(".wait_closed() should be called after .close()")
        await self.pool.close()
        await self._none_in_use.wait()

    def terminate(self) -> None:
        """Hand out no more connections, and close those in use at once."""
        self.close()
        for connection in self._in_use:
            connection.close()

    async def clear(self) -> None:
        """Close the connections that are not in use; new ones replace `minsize` of them."""
        for _ in range(self.freesize):
            connection = await self.pool.getconn()
            await connection.close()
            await self.pool.putconn(connection)
