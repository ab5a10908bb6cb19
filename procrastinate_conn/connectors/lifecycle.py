"""When a connector has a pool: opened, lent by the caller, closed.

All of it goes through procrastinate's public methods, so that its own attributes stay unused: a pool is
there once it is open and full, and an opening that fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AppNotOpen
from procrastinate.sync_psycopg_connector import wrap_exceptions

from procrastinate_conn.connectors.blueprint import Blueprint

P = TypeVar("P")


class _Holder(BaseConnector, Generic[P]):
    """A connector that holds a pool.

    Parameters
    ----------
    blueprint
        What the pool is made from.

    Attributes
    ----------
    lent : bool
        Whether the pool is the caller's, who closes it.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.lent = False
        self._held: P | None = None

    @property
    def held(self) -> P:
        """The pool.

        Raises
        ------
        AppNotOpen
            There is none.
        """
        if self._held is None:
            raise AppNotOpen
        return self._held


class SyncLifecycle(_Holder[P], ABC):
    """Opening and closing of the synchronous connectors."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self._changing = threading.Lock()

    def open(self, pool: P | None = None) -> None:
        """Open a pool and fill it, or use the caller's; nothing happens where there is one.

        Parameters
        ----------
        pool
            A pool, or an engine, of the caller's.

        Raises
        ------
        ConnectorException
            The pool is not full within its `timeout`. It can be tried again.
        """
        with self._changing, wrap_exceptions():
            if self._held is None:
                self._held = self.make_pool() if pool is None else pool
                self.lent = pool is not None

    def close(self) -> None:
        """Close every connection, or let go of the caller's pool."""
        with self._changing:
            pool, self._held = self._held, None
            if pool is not None and not self.lent:
                self.close_pool(pool)

    @abstractmethod
    def make_pool(self) -> P:
        """Return a new pool, open and full."""

    @abstractmethod
    def close_pool(self, pool: P) -> None:
        """Close a pool that `make_pool` made."""


class AsyncLifecycle(_Holder[P], ABC):
    """Opening and closing of the asynchronous connectors."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self._synchronous: BaseConnector | None = None

    def get_sync_connector(self) -> BaseConnector:
        """Return this connector if it is open, or else one for synchronous use until it is."""
        if self._held is not None:
            return self
        if self._synchronous is None:
            self._synchronous = self.make_sync_connector()
        return self._synchronous

    async def open_async(self, pool: P | None = None) -> None:
        """Open a pool and fill it, or use the caller's; nothing happens where there is one.

        Parameters
        ----------
        pool
            A pool of the caller's.

        Raises
        ------
        ConnectorException
            The pool is not full within its `timeout`. It can be tried again.
        """
        if self._held is not None:
            return
        await self._close_synchronous()
        with wrap_exceptions():
            opened = await self.make_pool() if pool is None else pool
        if self._held is None:
            self._held, self.lent = opened, pool is not None
        elif pool is None:  # another task was faster
            await self.close_pool(opened)

    async def close_async(self) -> None:
        """Close every connection, or let go of the caller's pool."""
        await self._close_synchronous()
        pool, self._held = self._held, None
        if pool is not None and not self.lent:
            await self.close_pool(pool)

    async def _close_synchronous(self) -> None:
        connector, self._synchronous = self._synchronous, None
        if connector is not None:
            await asyncio.to_thread(connector.close)

    @abstractmethod
    def make_sync_connector(self) -> BaseConnector:
        """Return the connector for synchronous use before this one is open."""

    @abstractmethod
    async def make_pool(self) -> P:
        """Return a new pool, open and full."""

    @abstractmethod
    async def close_pool(self, pool: P) -> None:
        """Close a pool that `make_pool` made."""
