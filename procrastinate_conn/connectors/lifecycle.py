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

from procrastinate_conn.connectors.blueprint import Blueprint
from procrastinate_conn.connectors.dialing import AsyncDialler, SyncDialler
from procrastinate_conn.connectors.forks import watch
from procrastinate_conn.connectors.home_loop import in_event_loop, run_at_home
from procrastinate_conn.connectors.pools import AsyncPool, SyncPool, async_pool, sync_pool

P = TypeVar("P")
T = TypeVar("T")


class _Holder(BaseConnector, Generic[P]):
    """A connector that holds a pool.

    Parameters
    ----------
    blueprint
        What the pool is made from.
    **arguments
        For procrastinate's class, which comes next in every kind.

    Attributes
    ----------
    core : SyncPool, AsyncPool or None
        What keeps the connections; None while the connector is not open, or has a pool of the caller's.
    slot : str
        Where procrastinate's class keeps its pool. Ours stands there as well: methods of procrastinate's that
        are not overridden look for it there, and there is no public way to put it there.
    """

    core: SyncPool | AsyncPool | None = None
    slot: ClassVar[str] = "_pool"

    def __init__(self, blueprint: Blueprint, **arguments: Any) -> None:
        self.blueprint = blueprint
        super().__init__(**arguments)
        watch(self)

    def forked(self) -> object:
        """In a child of this process: be closed, and return the pool, which is the parent's."""
        parents, self.core, self._held = (self.core, self._held), None, None
        return parents

    @property
    def _held(self) -> P | None:
        pool: P | None = getattr(self, self.slot)
        return pool

    @_held.setter
    def _held(self, pool: P | None) -> None:
        setattr(self, self.slot, pool)

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

    core: SyncPool | None = None

    def __init__(self, blueprint: Blueprint, **arguments: Any) -> None:
        super().__init__(blueprint, **arguments)
        self._changing = threading.Lock()
        self._open_in_parent = False

    def forked(self) -> object:
        """In a child of this process: open anew when it is used; a pool of the caller's is the caller's."""
        self._changing = threading.Lock()  # the other may be held by a thread that is no more
        self._open_in_parent = self.core is not None
        return super().forked()

    @property
    def held(self) -> P:
        """The pool.

        Raises
        ------
        AppNotOpen
            There is none.
        ConnectorException
            It was opened before a fork, and cannot be opened anew.
        """
        if self._open_in_parent:
            self.open()
        return super().held

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
            if self._held is not None:
                return
            self._open_in_parent = False
            if pool is None:
                core = sync_pool(self.dialler()).opened()
                try:
                    self._held = self.face(core)
                except BaseException:
                    core.close()
                    raise
                self.core = core
            else:
                self._held = pool

    def close(self) -> None:
        """Close every connection, or let go of the caller's pool."""
        with self._changing:
            self._open_in_parent = False
            core, self.core, self._held = self.core, None, None
            if core is not None:
                core.close()

    @abstractmethod
    def dialler(self) -> SyncDialler:
        """Return what dials connections."""

    @abstractmethod
    def face(self, core: SyncPool) -> P:
        """Return the pool, or engine, in the driver's own terms."""


class AsyncLifecycle(_Holder[P], ABC):
    """Opening and closing of the asynchronous connectors."""

    core: AsyncPool | None = None

    def __init__(self, blueprint: Blueprint, **arguments: Any) -> None:
        super().__init__(blueprint, **arguments)
        self._synchronous: BaseConnector | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self.at_work: dict[int, int] = {}

    def forked(self) -> object:
        """In a child of this process: be closed; the event loop is the parent's too."""
        self._home = None
        return super().forked()

    def _let_go_of_a_closed_loop(self) -> None:
        """Be closed where nobody closed the connector before its event loop ended, and the pool with it."""
        if self._home is not None and self._home.is_closed():
            self._home = self.core = self._held = None

    def get_sync_connector(self) -> BaseConnector:
        """Return this connector if it is open, or else one for synchronous use until it is."""
        self._let_go_of_a_closed_loop()
        if self._held is not None:
            return self
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
        if self._home is None or not self._home.is_running() or in_event_loop():
            return async_to_sync(execute, query, **arguments)  # which refuses to block a loop
        return run_at_home(execute(query, **arguments), self._home, self.blueprint.pool.timeout)

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
        self._let_go_of_a_closed_loop()
        if self._held is not None:
            return
        await self._close_synchronous()
        self._home = asyncio.get_running_loop()
        if pool is not None:
            self._held = pool
            return
        with wrap_exceptions():
            core = await async_pool(self.dialler()).opened()
        if self._held is None:
            self.core, self._held = core, self.face(core)
        else:  # another task was faster
            await core.close()

    async def close_async(self) -> None:
        """Close every connection, or let go of the caller's pool."""
        await self._close_synchronous()
        core, self.core, self._held = self.core, None, None
        if core is not None:
            await core.close()

    async def _close_synchronous(self) -> None:
        connector, self._synchronous = self._synchronous, None
        if connector is not None:
            await asyncio.to_thread(connector.close)

    @abstractmethod
    def make_sync_connector(self) -> BaseConnector:
        """Return the connector for synchronous use before this one is open."""

    @abstractmethod
    def dialler(self) -> AsyncDialler:
        """Return what dials connections."""

    @abstractmethod
    def face(self, core: AsyncPool) -> P:
        """Return the pool in the driver's own terms."""
