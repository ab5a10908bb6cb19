"""When a connector has a pool: opened, lent by the caller, closed.

All of it goes through procrastinate's public methods: a pool is there once it is open and full, and an
opening that fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Generic, LiteralString, TypeVar

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AppNotOpen
from procrastinate.sync_psycopg_connector import wrap_exceptions
from procrastinate.utils import async_to_sync

from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    SyncConnectionFactory,
)
from procrastinate_conn.connectors.runtime.forks import watch
from procrastinate_conn.connectors.runtime.loop_bridge import require_sockets, run_on_owner_loop
from procrastinate_conn.connectors.runtime.pools import AsyncPool, SyncPool, async_pool, sync_pool
from procrastinate_conn.connectors.runtime.retry import InFlightJobs
from procrastinate_conn.event_loops import in_event_loop

P = TypeVar("P")
T = TypeVar("T")


class PooledConnector(BaseConnector, Generic[P]):
    """A connector that holds a pool.

    Parameters
    ----------
    config
        What the pool is made from.
    **arguments
        For procrastinate's class, which comes next in every kind.

    Attributes
    ----------
    own_pool : SyncPool, AsyncPool or None
        What keeps the connections; None while the connector is not open, or has a pool of the caller's.
    pool_attribute : str
        Where procrastinate's class keeps its pool. Ours stands there as well: methods of procrastinate's that
        are not overridden look for it there, and there is no public way to put it there.
    """

    own_pool: SyncPool | AsyncPool | None = None
    pool_attribute: ClassVar[str] = "_pool"

    def __init__(self, config: ConnectorConfig, **arguments: Any) -> None:
        self.config = config
        super().__init__(**arguments)
        watch(self)

    def after_fork(self) -> object:
        """In a child of this process: be closed, and return the pool, which is the parent's.

        A pool of the caller's stays: whether a child can use it is for the caller to know.
        """
        if self.own_pool is None:
            return None
        parents, self.own_pool, self.pool_or_none = (self.own_pool, self.pool_or_none), None, None
        return parents

    @property
    def pool_or_none(self) -> P | None:
        """The pool, or None: to read it opens nothing."""
        pool: P | None = getattr(self, self.pool_attribute)
        return pool

    @pool_or_none.setter
    def pool_or_none(self, pool: P | None) -> None:
        setattr(self, self.pool_attribute, pool)

    def active_connector(self) -> PooledConnector[Any]:
        """Return the connector whose pool is the one to look at; nothing is made or opened."""
        return self

    def require_pool(self) -> P:
        """Return the pool.

        Raises
        ------
        AppNotOpen
            There is none.
        """
        pool = self.pool_or_none
        if pool is None:
            raise AppNotOpen
        return pool


class SyncConnector(PooledConnector[P], ABC):
    """Opening and closing of the synchronous connectors."""

    own_pool: SyncPool | None = None

    def __init__(self, config: ConnectorConfig, **arguments: Any) -> None:
        super().__init__(config, **arguments)
        self._changing = threading.Lock()
        self._open_in_parent = False

    def after_fork(self) -> object:
        """In a child of this process: open anew when it is used; a pool of the caller's is the caller's."""
        self._changing = threading.Lock()  # the other may be held by a thread that is no more
        self._open_in_parent = self._open_in_parent or self.own_pool is not None
        return super().after_fork()

    def require_pool(self) -> P:
        """Return the pool.

        Raises
        ------
        AppNotOpen
            There is none.
        ConnectorException
            It was opened before a fork, and cannot be opened anew.
        """
        if self._open_in_parent:
            self.open()
        return super().require_pool()

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
            if self.pool_or_none is not None:
                return
            if pool is None:
                own_pool = sync_pool(self.make_connection_factory()).opened()
                try:
                    pool = self.adapt_pool(own_pool)
                except BaseException:
                    own_pool.close()
                    raise
                self.own_pool = own_pool  # first, as it tells other threads whose pool it is
            self.pool_or_none = pool
            self._open_in_parent = False

    def close(self) -> None:
        """Close every connection, or let go of the caller's pool."""
        with self._changing:
            self._open_in_parent = False
            own_pool, self.own_pool, self.pool_or_none = self.own_pool, None, None
            if own_pool is not None:
                own_pool.close()

    @abstractmethod
    def make_connection_factory(self) -> SyncConnectionFactory:
        """Return what dials connections."""

    @abstractmethod
    def adapt_pool(self, pool: SyncPool) -> P:
        """Return the pool, or engine, in the driver's own terms."""


class AsyncConnector(PooledConnector[P], ABC):
    """Opening and closing of the asynchronous connectors.

    Attributes
    ----------
    owner_loop : asyncio.AbstractEventLoop or None
        The event loop that the connector was opened in.
    loop_bound : bool
        Whether the driver's connections are of use in that one alone.
    in_flight_jobs : InFlightJobs
        What its workers are at.
    """

    own_pool: AsyncPool | None = None
    loop_bound: ClassVar[bool] = False

    def __init__(self, config: ConnectorConfig, **arguments: Any) -> None:
        super().__init__(config, **arguments)
        self._synchronous: SyncConnector[Any] | None = None
        self._making = threading.Lock()
        self.owner_loop: asyncio.AbstractEventLoop | None = None
        self._changing: tuple[asyncio.AbstractEventLoop | None, asyncio.Lock] = (None, asyncio.Lock())
        self.in_flight_jobs = InFlightJobs()

    def after_fork(self) -> object:
        """In a child of this process: be closed; the event loop is the parent's too."""
        self._making = threading.Lock()  # whoever holds the other ones is no more
        self._changing = (None, asyncio.Lock())
        self.owner_loop = None
        return super().after_fork()

    def require_pool(self) -> P:
        """Return the pool.

        Raises
        ------
        AppNotOpen
            There is none, or the event loop that it was opened in was closed.
        """
        self._let_go_of_a_closed_loop()
        return super().require_pool()

    def _let_go_of_a_closed_loop(self) -> None:
        """Be closed where nobody closed the connector before its event loop ended, and the pool with it."""
        owner_loop = self.owner_loop
        if owner_loop is not None and owner_loop.is_closed():
            self.owner_loop = self.own_pool = self.pool_or_none = None

    def active_connector(self) -> PooledConnector[Any]:
        """Return the connector to look at: this one, or its synchronous side while only that may be open."""
        self._let_go_of_a_closed_loop()
        return self if self.pool_or_none is not None or self._synchronous is None else self._synchronous

    def get_sync_connector(self) -> BaseConnector:
        """Return this connector if it is open, or else one for synchronous use until it is."""
        self._let_go_of_a_closed_loop()
        if self.pool_or_none is not None:
            return self
        with self._making:
            if self._synchronous is None:
                self._synchronous = self.make_sync_connector()
            return self._synchronous

    def execute_query(self, query: LiteralString, **arguments: Any) -> None:
        """Execute a query, from a thread other than the event loop's."""
        self._run(self.execute_query_async, query, arguments)

    def execute_query_one(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row, from a thread other than the event loop's."""
        return self._run(self.execute_query_one_async, query, arguments)

    def execute_query_all(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows, from a thread other than the event loop's."""
        return self._run(self.execute_query_all_async, query, arguments)

    def _run(
        self, execute: Callable[..., Coroutine[Any, Any, T]], query: LiteralString, arguments: dict[str, Any]
    ) -> T:
        """Call from a thread what belongs into the event loop.

        procrastinate would make an event loop for each call: connections and locks of the pool, which belong
        to the first one, fail or hang there as soon as there are several threads.
        """
        owner_loop = self.owner_loop
        if owner_loop is None or not owner_loop.is_running() or in_event_loop():
            return async_to_sync(execute, query, **arguments)  # which refuses to block a loop
        return run_on_owner_loop(execute(query, **arguments), owner_loop, self.config.pool.timeout)

    async def open_async(self, pool: P | None = None) -> None:
        """Open a pool and fill it, or use the caller's; nothing happens where there is one.

        Parameters
        ----------
        pool
            A pool of the caller's.

        Raises
        ------
        ConnectorException
            The pool is not full within its `timeout`; it can be tried again. Or this event loop cannot wait
            for sockets, as the one that asyncio makes on Windows.
        """
        async with self._one_at_a_time():
            self._let_go_of_a_closed_loop()
            if self.pool_or_none is not None:
                return
            owner_loop = asyncio.get_running_loop()
            require_sockets(owner_loop)
            await self._close_synchronous()
            own_pool = None
            if pool is None:
                with wrap_exceptions():
                    own_pool = await async_pool(self.make_connection_factory()).opened()
                pool = self.adapt_pool(own_pool)
            self.owner_loop, self.own_pool, self.pool_or_none = owner_loop, own_pool, pool

    async def close_async(self) -> None:
        """Close every connection, or let go of the caller's pool; an opening that is under way ends first."""
        async with self._one_at_a_time():
            self._let_go_of_a_closed_loop()
            await self._close_synchronous()
            own_pool = self.own_pool
            self.owner_loop = self.own_pool = self.pool_or_none = None
            if own_pool is not None:
                await own_pool.close()

    def _one_at_a_time(self) -> asyncio.Lock:
        """Return the lock of the running event loop: a lock of asyncio's is of use in one."""
        loop = asyncio.get_running_loop()
        if self._changing[0] is not loop:
            self._changing = (loop, asyncio.Lock())
        return self._changing[1]

    async def _close_synchronous(self) -> None:
        """Close the synchronous side, and keep it: a thread may be opening it again."""
        if self._synchronous is not None:
            await asyncio.to_thread(self._synchronous.close)

    @abstractmethod
    def make_sync_connector(self) -> SyncConnector[Any]:
        """Return the connector for synchronous use before this one is open."""

    @abstractmethod
    def make_connection_factory(self) -> AsyncConnectionFactory:
        """Return what dials connections."""

    @abstractmethod
    def adapt_pool(self, pool: AsyncPool) -> P:
        """Return the pool in the driver's own terms."""
