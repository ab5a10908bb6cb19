"""What the connectors share: opening and closing, the caller's pools, and the way of a query.

All of it goes through procrastinate's public methods. A connector has a pool once that is open and full; an
opening that fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import methodcaller
from typing import Any, ClassVar, Generic, LiteralString, TypeVar

from procrastinate.connector import BaseConnector, Notify
from procrastinate.exceptions import AppNotOpen, ConnectorException, NoResult
from procrastinate.sync_psycopg_connector import wrap_exceptions
from procrastinate.utils import async_to_sync

from procrastinate_conn.connectors.compatibility import rejection
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime import forks
from procrastinate_conn.connectors.runtime.connection_factory import ConnectionFactory
from procrastinate_conn.connectors.runtime.listener import listen, raise_if_cancelled
from procrastinate_conn.connectors.runtime.loop_bridge import (
    await_on_owner_loop,
    require_sockets,
    run_on_owner_loop,
)
from procrastinate_conn.connectors.runtime.pools import AsyncPool, SyncPool, make_pool
from procrastinate_conn.connectors.runtime.retry import (
    JOB_QUERIES,
    InFlightJobs,
    RetryableQuery,
    driver_error,
)
from procrastinate_conn.connectors.runtime.steps import run, run_async
from procrastinate_conn.connectors.runtime.worker_limits import (
    SIDE_TASK_QUERIES,
    WORKER_QUERIES,
    WorkerQueryLimit,
)
from procrastinate_conn.event_loops import in_event_loop

P = TypeVar("P")
T = TypeVar("T")

Rows = list[dict[str, Any]]

POOL_PACKAGES = frozenset(("psycopg_pool", "psycopg2", "aiopg", "asyncpg", "sqlalchemy"))
"""Packages whose pools and engines are each for one driver."""


class PooledConnector(BaseConnector, ABC, Generic[P]):
    """A connector on a pool. In every kind, procrastinate's class comes next."""

    connection_factory: ClassVar[type[ConnectionFactory]]
    own_pool: SyncPool | AsyncPool | None = None  # opened here; None if closed, or if the caller's is used
    # procrastinate's class keeps its pool, or engine, in this attribute. Ours is there as well: methods of
    # procrastinate's that are not overridden read it, and there is no public way to set it.
    pool_attribute: ClassVar[str] = "_pool"
    pool_class: ClassVar[type | None] = None  # of a pool of the caller's; None if it takes none
    # Of a cursor's result, the first row or None, the only row, the rows. Asynchronous ones are awaited.
    fetch_row: Any = methodcaller("fetchone")
    fetch_one: Any = fetch_row
    fetch_all: Any = methodcaller("fetchall")

    def __init__(self, config: ConnectorConfig) -> None:
        self.config = config
        # BaseConnector has no such arguments; every class that comes next in a kind has them.
        super().__init__(json_dumps=config.json_dumps, json_loads=config.json_loads)  # type: ignore[call-arg]
        forks.register(self)

    def after_fork(self) -> object:
        """In a child of this process: be closed, and return the pool, which is the parent's.

        A pool of the caller's stays: only the caller knows whether a child can use it.
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

    def require_pool(self) -> P:
        """Return the pool, or raise `AppNotOpen`."""
        pool = self.pool_or_none
        if pool is None:
            raise AppNotOpen
        return pool

    def active_connector(self) -> PooledConnector[Any]:
        """Return the connector whose pool is in use; nothing is made or opened."""
        return self

    def reject_pool(self, pool: P) -> str | None:
        """Return why the caller's pool or engine cannot be used; None if it can.

        A class of the application's own may do what the pool does.
        """
        if self.pool_class is None:
            return rejection(self.config.kind, "no pool of the application's", pool)
        packages = {base.__module__.partition(".")[0] for base in type(pool).__mro__}
        if isinstance(pool, self.pool_class) or not packages & POOL_PACKAGES:
            return None
        return (
            f"the {self.config.kind} connector takes a {_full_name(self.pool_class)}, "
            f"and was given a {_full_name(type(pool))}"
        )

    def execute_on(
        self,
        connection: Any,
        query: str,  # noqa: ARG002 - a kind that takes connections needs the rest
        arguments: dict[str, Any],  # noqa: ARG002
        fetch: Any,  # noqa: ARG002
    ) -> Any:
        """Execute a query in the transaction of a connection of the caller's; return what `fetch` returns.

        `ConnectorException` is raised if the kind takes no such connection; it names one that does.
        """
        raise ConnectorException(
            rejection(self.config.kind, "no connection of the application's", connection)
        )

    def make_connection_factory(self) -> Any:
        """Return what makes the connections of a pool."""
        return self.connection_factory(self.config)

    def adapt_pool(self, pool: Any) -> Any:
        """Return a pool as one of the driver's own type, or an engine."""
        return pool

    def _require_usable(self, pool: P | None) -> None:
        rejection = None if pool is None else self.reject_pool(pool)
        if rejection is not None:
            raise ConnectorException(rejection)

    @abstractmethod
    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        """Send a query once, on a connection of `own_pool`, and put that back whatever happens.

        Parameters
        ----------
        query
            With psycopg's placeholders, ``%(name)s``; without arguments it may be several statements.
        arguments
            As procrastinate passes them: JSON is a dict, a job to defer a tuple.
        fetch
            `fetch_row`, `fetch_one` or `fetch_all`, to be called with the cursor or with the rows; None if
            there is no result.

        Returns
        -------
        object
            What `fetch` returns, or None. An asynchronous connector returns an awaitable.

        Raises
        ------
        SafeToRetry, OutcomeUnknown
            The connection was lost: see `raise_lost`.
        procrastinate.exceptions.ConnectorException
            For any other error of the driver, which is its cause. The driver's error has the server's code as
            `sqlstate` or `pgcode`; on it depends whether the session is of any more use.
        """


class WithoutClass(BaseConnector):
    """Stands for procrastinate's class in a kind for which procrastinate has none."""

    _pool: Any = None

    def __init__(
        self,
        *,
        json_dumps: Callable[[Any], str] | None = None,
        json_loads: Callable[[str], Any] | None = None,
    ) -> None:
        self.json_dumps = json_dumps
        self.json_loads = json_loads

    def get_sync_connector(self) -> BaseConnector:
        return self


class RowLists:
    """The first base of a connector whose `send` passes a list of dicts to `fetch`, and no cursor."""

    @staticmethod
    def fetch_all(rows: Rows) -> Rows:
        return rows

    @staticmethod
    def fetch_row(rows: Rows) -> dict[str, Any] | None:
        return rows[0] if rows else None

    @staticmethod
    def fetch_one(rows: Rows) -> dict[str, Any]:
        if not rows:
            raise NoResult
        return rows[0]


class SyncConnector(PooledConnector[P]):
    """What the synchronous connectors share."""

    own_pool: SyncPool | None = None
    sleep = staticmethod(time.sleep)

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self._opening = threading.Lock()
        self._open_in_parent = False

    def after_fork(self) -> object:
        """In a child of this process: open anew when it is used."""
        self._opening = threading.Lock()  # the other may be held by a thread that is no more
        self._open_in_parent = self._open_in_parent or self.own_pool is not None
        return super().after_fork()

    def require_pool(self) -> P:
        """Return the pool, which a child of the process that has opened it opens anew."""
        if self._open_in_parent:
            self.open()
        return super().require_pool()

    def open(self, pool: P | None = None) -> None:
        """Open a pool and fill it, or use the caller's pool or engine; does nothing if there is one.

        `ConnectorException` is raised if the pool is not full within its `timeout` (try it again then), or if
        the caller's is one of another driver.
        """
        with self._opening, reasons_in_messages(), wrap_exceptions():
            if self.pool_or_none is not None:
                return
            self._require_usable(pool)
            if pool is None:
                own_pool = make_pool(self.make_connection_factory()).open_and_wait()
                try:
                    pool = self.adapt_pool(own_pool)
                except BaseException:
                    own_pool.close()
                    raise
                self.own_pool = own_pool  # first, as other threads see by it whose pool it is
            self.pool_or_none = pool
            self._open_in_parent = False

    def close(self) -> None:
        """Close every connection, or let go of the caller's pool."""
        with self._opening:
            self._open_in_parent = False
            own_pool, self.own_pool, self.pool_or_none = self.own_pool, None, None
            if own_pool is not None:
                own_pool.close()

    def execute_query(self, query: LiteralString, **arguments: Any) -> None:
        self._execute(query, arguments, None)

    def execute_query_one(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        row: dict[str, Any] = self._execute(query, arguments, self.fetch_one)
        return row

    def execute_query_all(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._execute(query, arguments, self.fetch_all)
        return rows

    def execute_query_one_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> dict[str, Any]:
        row: dict[str, Any] = self.execute_on(connection, query, arguments, self.fetch_one)
        return row

    def execute_query_all_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.execute_on(connection, query, arguments, self.fetch_all)
        return rows

    def _execute(self, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        try:
            return self.send(query, arguments, fetch)
        except ConnectorException as error:
            failure = error
        with reasons_in_messages():
            return run(RetryableQuery(self, query, arguments, fetch).steps(failure))


class AsyncConnector(PooledConnector[P]):
    """What the asynchronous connectors share."""

    own_pool: AsyncPool | None = None
    owner_loop: asyncio.AbstractEventLoop | None = None  # which the connector was opened in
    sync_connector: ClassVar[type[SyncConnector[Any]]]  # for synchronous use before this one is open
    loop_bound: ClassVar[bool] = False  # whether the driver's connections can be used in that one alone
    sleep = staticmethod(asyncio.sleep)

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self._sync_side: SyncConnector[Any] | None = None
        self._making_sync_side = threading.Lock()
        self._opening: tuple[asyncio.AbstractEventLoop | None, asyncio.Lock] = (None, asyncio.Lock())
        self.in_flight_jobs = InFlightJobs()

    def after_fork(self) -> object:
        """In a child of this process: be closed; the event loop is the parent's too."""
        self._making_sync_side = threading.Lock()  # the others may be held by a thread that is no more
        self._opening = (None, asyncio.Lock())
        self.owner_loop = None
        return super().after_fork()

    def require_pool(self) -> P:
        """Return the pool, which is closed with the event loop that it was opened in."""
        self._forget_closed_loop()
        return super().require_pool()

    def _forget_closed_loop(self) -> None:
        """Be closed if the event loop was closed before the connector, and the pool with it."""
        if self.owner_loop is not None and self.owner_loop.is_closed():
            self.owner_loop = self.own_pool = self.pool_or_none = None

    def active_connector(self) -> PooledConnector[Any]:
        """Return the connector whose pool is in use: this one, or its synchronous side before it is open."""
        self._forget_closed_loop()
        return self if self.pool_or_none is not None or self._sync_side is None else self._sync_side

    def get_sync_connector(self) -> BaseConnector:
        """Return this connector if it is open, or else one for synchronous use until it is."""
        self._forget_closed_loop()
        if self.pool_or_none is not None:
            return self
        with self._making_sync_side:
            if self._sync_side is None:
                self._sync_side = self.sync_connector(self.config)
            return self._sync_side

    async def open_async(self, pool: P | None = None) -> None:
        """Open a pool and fill it, or use the caller's; does nothing if there is one.

        `ConnectorException` is raised if the pool is not full within its `timeout` (try it again then), if
        the caller's is one of another driver, or if this event loop cannot wait for sockets, as the one that
        asyncio makes on Windows.
        """
        async with self._opening_lock():
            self._forget_closed_loop()
            if self.pool_or_none is not None:
                return
            self._require_usable(pool)
            loop = asyncio.get_running_loop()
            require_sockets(loop)
            await self._close_sync_side()
            own_pool = None
            if pool is None:
                with reasons_in_messages(), wrap_exceptions():
                    own_pool = await make_pool(self.make_connection_factory()).open_and_wait()
                pool = self.adapt_pool(own_pool)
            self.owner_loop, self.own_pool, self.pool_or_none = loop, own_pool, pool

    async def close_async(self) -> None:
        """Close every connection, or let go of the caller's pool; a pending opening is awaited first."""
        async with self._opening_lock():
            self._forget_closed_loop()
            await self._close_sync_side()
            own_pool = self.own_pool
            self.owner_loop = self.own_pool = self.pool_or_none = None
            if own_pool is not None:
                await asyncio.shield(own_pool.close())  # to the end: asyncpg leaves connections open

    def _opening_lock(self) -> asyncio.Lock:
        """Return the lock of the running event loop: a lock of asyncio's can be used in one."""
        loop = asyncio.get_running_loop()
        if self._opening[0] is not loop:
            self._opening = (loop, asyncio.Lock())
        return self._opening[1]

    async def _close_sync_side(self) -> None:
        """Close the synchronous side, and keep it: a thread may be opening it again."""
        if self._sync_side is not None:
            await asyncio.to_thread(self._sync_side.close)

    def execute_query(self, query: LiteralString, **arguments: Any) -> None:
        self._run(self.execute_query_async, query, arguments)

    def execute_query_one(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        return self._run(self.execute_query_one_async, query, arguments)

    def execute_query_all(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        return self._run(self.execute_query_all_async, query, arguments)

    def _run(
        self, execute: Callable[..., Coroutine[Any, Any, T]], query: LiteralString, arguments: dict[str, Any]
    ) -> T:
        """Run a call of a thread's in the owner loop.

        procrastinate would make an event loop for each call: connections and locks of the pool, which belong
        to the first one, fail or hang there as soon as there are several threads.
        """
        loop = self.owner_loop
        if loop is None or not loop.is_running() or in_event_loop():
            return async_to_sync(execute, query, **arguments)  # which raises if it would block a loop
        return run_on_owner_loop(execute(query, **arguments), loop, self.config.pool.timeout)

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        await self._execute(query, arguments, None)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        row: dict[str, Any] = await self._execute(query, arguments, self.fetch_one)
        return row

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._execute(query, arguments, self.fetch_all)
        return rows

    async def execute_query_one_async_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> dict[str, Any]:
        row: dict[str, Any] = await self.execute_on(connection, query, arguments, self.fetch_one)
        return row

    async def execute_query_all_async_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.execute_on(connection, query, arguments, self.fetch_all)
        return rows

    def execute_query_one_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> dict[str, Any]:
        return self._run(partial(self.execute_query_one_async_with_connection, connection), query, arguments)

    def execute_query_all_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> list[dict[str, Any]]:
        return self._run(partial(self.execute_query_all_async_with_connection, connection), query, arguments)

    async def _execute(self, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        """Execute a query in the owner loop.

        In another one, as `asyncio.run` makes it in a thread, it would wait for ever, and keep connections
        from callers in the owner loop. While that does not run, connections that are not bound to it are used
        in the other. If it was closed, the connector is, too.
        """
        loop = self.owner_loop
        if loop is not asyncio.get_running_loop():
            self._forget_closed_loop()
        if loop is asyncio.get_running_loop() or loop is None or self.own_pool is None:
            seconds = self.config.pool.response_timeout
            if query in WORKER_QUERIES and seconds and self.own_pool is not None:
                with WorkerQueryLimit(seconds, self.own_pool, query):
                    result = await self._execute_here(query, arguments, fetch)
            else:
                result = await self._execute_here(query, arguments, fetch)
            if query in SIDE_TASK_QUERIES:
                raise_if_cancelled()  # or a worker that stops waits for the task for ever
            return result
        if loop.is_running():
            call = self._execute_here(query, arguments, fetch)
            return await await_on_owner_loop(call, loop, self.config.pool.timeout)
        if self.loop_bound:
            raise ConnectorException("the event loop that the connector was opened in does not run now")
        return await self._execute_here(query, arguments, fetch)

    async def _execute_here(self, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        job_query: RetryableQuery | None = None
        if query in JOB_QUERIES and self.own_pool is not None:
            job_query = RetryableQuery(self, query, arguments, fetch, self.in_flight_jobs)
        error: ConnectorException | None = None
        if job_query is None or not job_query.looks_up_first():
            try:
                result = await self.send(query, arguments, fetch)
            except ConnectorException as failure:
                error = failure
            else:
                return result if job_query is None else job_query.with_jobs_noted(result)
        retryable = job_query or RetryableQuery(self, query, arguments, fetch)
        with reasons_in_messages():
            return await run_async(retryable.steps(error))

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen on a connection besides the pool, through any outage, until cancelled."""
        await listen(self, super().listen_notify, on_notification, channels)


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@contextmanager
def reasons_in_messages() -> Iterator[None]:
    """Let an error say what has failed: procrastinate's wrapper says "Database error." of each."""
    try:
        yield
    except ConnectorException as error:
        if error.args == (ConnectorException.__doc__,) and (reason := driver_error(error)) is not None:
            error.args = (str(reason).strip() or type(reason).__name__,)
        raise
