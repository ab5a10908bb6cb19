"""psycopg_pool for every driver: pools that hand out no dead connection, and say why they have none."""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from time import monotonic
from types import coroutine
from typing import Any, cast
from weakref import WeakMethod, WeakSet

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import (
    AsyncConnectionPool,
    AsyncNullConnectionPool,
    ConnectionPool,
    NullConnectionPool,
    PoolTimeout,
    pool,
    pool_async,
)
from psycopg_pool.base import BasePool

from procrastinate_conn.connectors.runtime.acquire import (
    RECONNECT_PAUSE,
    AcquireAttempt,
    PingTimeout,
    Reconnection,
)
from procrastinate_conn.connectors.runtime.connection_factory import ConnectionFactory
from procrastinate_conn.connectors.runtime.steps import Steps, run, run_async
from procrastinate_conn.connectors.runtime.worker_limits import WorkerQueries, current_limit

logger = logging.getLogger(__name__)

RESTART_DELAY = 1.0
"""Seconds that a pool tries to connect before it starts anew, at least, however soon it is to give up."""

CLOSE_TIMEOUT = 0.2
"""Seconds to wait, when a pool is closed, for those of its workers that are connecting. They cannot be
interrupted, and they end by themselves."""

_RECONNECTION = (pool.AddConnection, pool_async.AddConnection)
"""Neither these tasks nor `run_task` and `schedule_task` are documented; a test of the intervals notices if
they change."""


class _SharedPool(BasePool, ABC):
    """What the synchronous and the asynchronous pool share."""

    sleep: Any
    _pool_full_event: Any  # set when the pool is full; None unless it is waited for

    def __init__(self, connection_factory: Any) -> None:
        asynchronous = connection_factory.asynchronous
        options = connection_factory.config.pool
        self.connection_factory = connection_factory
        self.check_connection: Any = connection_factory.check_alive
        self.user_check: Any = options.callback("check", asynchronous=asynchronous)
        self.requests = self.requests_failed = 0
        self.recheck_count = 0
        arguments: dict[str, Any] = options.arguments(asynchronous=asynchronous)
        arguments.pop("configure", None)  # the factory's
        # The first connection is opened alone: if it cannot be, one attempt is enough to know.
        arguments["min_size"] = min(1, options.min_size)
        if options.null:  # which does not start anew once it has given up
            arguments["reconnect_timeout"] = max(
                options.timeout, arguments.get("reconnect_timeout", options.timeout)
            )
        super().__init__(**{**arguments, "connection_class": connection_factory, "kwargs": {}, "open": False})
        self.lifo_window = min(options.check_after or math.inf, self.max_lifetime)
        self._is_opening = True
        self._rejected_until = self._useless_before = -math.inf
        self.reconnection = Reconnection()
        connection_factory.on_connected = WeakMethod(self._release_held)

    def open_and_wait(self) -> Any:
        """Open and fill the pool, and return it; if it is not full in time, or cannot be, it is closed."""
        return self.connection_factory.run(self._open_and_wait())

    def _open_and_wait(self) -> Steps:
        this: Any = self
        options = self.connection_factory.config.pool
        started = monotonic()
        try:
            yield this.open(wait=True, timeout=self.timeout)
            self.connection_factory.raise_permanent_error()
            if options.min_size > 1:
                yield this.resize(options.min_size, options.max_size)
                yield this.wait(max(0.0, self.timeout - (monotonic() - started)))
                self.connection_factory.raise_permanent_error()
        except PoolTimeout:
            message = f"pool initialization incomplete after {self.timeout:.2f} sec"
            self.connection_factory.raise_timeout(message)
        except BaseException:
            yield self.close()
            raise
        self._is_opening = False
        return self

    def close(self, timeout: float = 5.0) -> Any:
        """Close the pool, without waiting for attempts to connect."""
        parent: Any = super()
        return parent.close(CLOSE_TIMEOUT if self.connection_factory.pending_attempts else timeout)

    def _acquire(self, timeout: float, started: float, connection: Any, error: BaseException | None) -> Steps:
        """Return a connection that is alive, after a first try that gave one in doubt, or an error."""
        attempt = AcquireAttempt(timeout, self._max_size, started, self.connection_factory.errors)
        if isinstance(error, PoolTimeout):
            attempt.waited(timeout)
        try:
            while True:
                if connection is not None:
                    error = error or (yield from self._check_before_use(connection, attempt))
                    if error is None:
                        return connection
                    yield self._discard(connection, error)
                    attempt.rejected(error)
                else:
                    attempt.failed(error)
                yield self.sleep(attempt.pause)
                attempt.waited(attempt.pause)
                connection, error = yield from self._try_again(attempt)
        except BaseException:
            self.requests_failed += 1
            raise

    def _check_before_use(self, connection: Any, attempt: AcquireAttempt) -> Steps:
        """Return why a connection is not to be used; None if it is."""
        if (limit := current_limit.get()) is not None:
            limit.acquired(connection)
        try:
            if self.connection_factory.should_ping(connection):
                yield self.connection_factory.check_alive(connection, attempt.ping_timeout())
            if self.user_check is not None:
                try:
                    yield self.user_check(connection)
                except Exception as error:
                    raise psycopg.OperationalError(str(error) or type(error).__name__) from error
        except BaseException as error:  # noqa: BLE001 - it is raised unless it is a driver's
            return error
        return None

    def _try_again(self, attempt: AcquireAttempt) -> Steps:
        """Return a connection or None, and an error or None."""
        parent: Any = super()
        if (limit := current_limit.get()) is not None:
            limit.released()
        seconds = attempt.seconds_left()
        if attempt.has_timed_out(seconds):  # psycopg_pool hands out what it has even then
            message = f"couldn't get a connection after {attempt.timeout:.2f} sec"
            self.connection_factory.raise_timeout(message, attempt.rejection)
        self._use_lifo(monotonic())
        try:
            return (yield parent.getconn(seconds)), None
        except PoolTimeout as error:
            attempt.waited(seconds)
            return None, error
        except self.connection_factory.errors as error:  # also the driver's: a null pool connects in here
            return None, error

    def _use_lifo(self, now: float) -> None:
        """Hand out connections LIFO, so that warm backends are reused.

        psycopg_pool has no option for that: it takes the connection that has been idle the longest. Its order
        is kept after a connection was found dead, since others may be dead, too, and for connections that
        have been idle for long.
        """
        if self.recheck_count > 0:
            self.recheck_count -= 1
            return
        # Private of psycopg_pool's, as are _max_size and _pool_full_event; no others are used.
        idle = self._pool
        try:
            idle_since = idle[0].liveness.idle_since
        except IndexError:
            return
        if now - idle_since < self.lifo_window:
            idle.rotate()

    def _discard(self, connection: Any, reason: BaseException) -> Any:
        """Close a connection, so that a new one takes its place."""
        logger.info("discarding a connection of pool %r before use: %s", self.name, reason)
        self._mark_loss()
        if isinstance(reason, PingTimeout):
            self.check_idle()
        return self._discard_and_replace(connection)

    @abstractmethod
    def _discard_and_replace(self, connection: Any) -> Any: ...

    def _mark_loss(self) -> None:
        self.recheck_count = self.max_size
        self.connection_factory.last_loss = monotonic()
        self.reconnection.lost()

    def replace_all(self) -> bool:
        """Let no connection be used again; return False if new ones were rejected, too, just now."""
        if monotonic() < self._rejected_until:
            return False
        self._useless_before = monotonic()  # those in use are seen when they are returned
        for connection in tuple(self._pool):
            connection.liveness.is_terminated = True
        return True

    def replacement_rejected(self) -> None:
        """Note that a new connection is of no more use than those before."""
        self._rejected_until = monotonic() + RECONNECT_PAUSE

    def check_idle(self) -> None:
        """Let each idle connection be pinged before it is used: one was silent."""
        for connection in tuple(self._pool):
            connection.liveness.idle_since = -math.inf

    def run_task(self, task: Any) -> None:
        """Run a task in a worker; one that connects may have to wait for another."""
        if not isinstance(task, _RECONNECTION) or self.reconnection.admits(task):
            parent: Any = super()
            parent.run_task(task)

    def schedule_task(self, task: Any, delay: float) -> Any:
        """Run a task later, as psycopg_pool asks; one that has failed to connect, as `reconnection` says."""
        return self.connection_factory.run(self._schedule(task, delay))

    def _schedule(self, task: Any, delay: float) -> Steps:
        parent: Any = super()
        if not isinstance(task, _RECONNECTION):
            yield parent.schedule_task(task, delay)
        elif self._is_opening and self.connection_factory.permanent_error() is not None:
            if (waiting := self._pool_full_event) is not None:
                waiting.set()
        elif (pause := self.reconnection.failed(task)) is not None:
            yield parent.schedule_task(task, pause)

    def _release_held(self) -> None:
        for task in self.reconnection.succeeded():
            self.run_task(task)

    def reconnect_failed(self) -> Any:
        """Connect anew: psycopg_pool has given up, and forgets the callers who wait."""
        return self.connection_factory.run(self._reconnect())

    def _reconnect(self) -> Steps:
        this, parent = cast("Any", self), cast("Any", super())
        for task in self.reconnection.gave_up():
            self.run_task(task)
        try:
            yield parent.reconnect_failed()
        finally:
            yield self.sleep(max(0.0, RESTART_DELAY - self.reconnect_timeout))
            yield this.check()  # which lets the pool grow


class SyncPool(_SharedPool, ConnectionPool[Any]):
    """A pool of connections of any synchronous driver."""

    sleep = staticmethod(time.sleep)

    def __init__(self, connection_factory: ConnectionFactory) -> None:
        self._process_id = os.getpid()
        super().__init__(connection_factory)
        _TO_CLOSE_AT_EXIT.add(self)

    def __del__(self) -> None:
        if self.is_of_this_process():
            super().__del__()

    def is_of_this_process(self) -> bool:
        """Tell whether the pool's threads are here: in a child of the process they are the parent's."""
        return self._process_id == os.getpid()

    def getconn(self, timeout: float | None = None) -> Any:
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        timeout = self.timeout if timeout is None else timeout
        self.requests += 1
        started = monotonic()
        self._use_lifo(started)
        connection = error = None
        try:
            connection = super().getconn(timeout)
            if self.user_check is None and not self.connection_factory.should_ping(connection):
                return connection
        except BaseException as failure:  # noqa: BLE001 - the steps raise it if it is not expected
            error = failure
        return run(self._acquire(timeout, started, connection, error))

    def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        if self.connection_factory.is_closed(conn):
            self._mark_loss()
        conn.liveness.idle_since = monotonic()
        if conn.liveness.made_at < self._useless_before:
            conn.liveness.is_terminated = True
        super().putconn(conn)

    def _discard_and_replace(self, connection: Any) -> None:
        self.connection_factory.discard(connection)
        super().putconn(connection)


class AsyncPool(_SharedPool, AsyncConnectionPool[Any]):
    """A pool of connections of any asynchronous driver."""

    sleep = staticmethod(asyncio.sleep)

    def __init__(self, connection_factory: ConnectionFactory) -> None:
        super().__init__(connection_factory)
        self.worker_queries = WorkerQueries()

    async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as psycopg_pool's
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        timeout = self.timeout if timeout is None else timeout
        self.requests += 1
        started = monotonic()
        self._use_lifo(started)
        connection = error = None
        try:
            connection = await super().getconn(timeout)
            if self.user_check is None and not self.connection_factory.should_ping(connection):
                if (limit := current_limit.get()) is not None:
                    limit.acquired(connection)
                return connection
        except BaseException as failure:  # noqa: BLE001 - the steps raise it if it is not expected
            error = failure
        return await run_async(self._acquire(timeout, started, connection, error))

    async def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        if (limit := current_limit.get()) is not None:
            limit.released()
        conn.liveness.idle_since = monotonic()
        if conn.liveness.made_at < self._useless_before:
            conn.liveness.is_terminated = True
        if self.connection_factory.is_closed(conn):
            self._mark_loss()
            # By the server: aiopg then leaves a reader with the event loop, on a descriptor that the next
            # connection will have.
            await self._discard_and_replace(conn)
        else:
            await self._shielded(super().putconn(conn), conn)

    async def _discard_and_replace(self, connection: Any) -> None:
        self.connection_factory.discard(connection)
        await self._shielded(super().putconn(connection), connection)

    async def _shielded(self, work: Coroutine[Any, Any, None], connection: Any) -> None:
        """Finish `work` even if the task is cancelled: psycopg_pool awaits its lock, and loses the slot.

        An idle connection is returned without a task, unless another task has the lock.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the loop was closed under the task, and with it the pool
            work.close()
            self.connection_factory.discard(connection)
            return
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            try:
                work = _resume(work, work.send(None))
            except StopIteration:
                return
        task = loop.create_task(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise


async def _resume(started: Coroutine[Any, Any, None], future: Any) -> None:
    """Await the rest of a coroutine that waits for a future."""
    await _rest(started, future)  # itself, a task does not take it from Python 3.12 on


@coroutine
def _rest(started: Coroutine[Any, Any, None], future: Any) -> Any:
    yield future
    yield from started.__await__()


class SyncNullPool(SyncPool, NullConnectionPool[Any]):
    """The same, keeping no connections."""


class AsyncNullPool(AsyncPool, AsyncNullConnectionPool[Any]):
    """The same, keeping no connections."""


_TO_CLOSE_AT_EXIT: WeakSet[SyncPool] = WeakSet()


@atexit.register
def _close_at_exit() -> None:
    """Close while threads can still end: from Python 3.13 on, `__del__` would wait for them in vain."""
    for open_pool in list(_TO_CLOSE_AT_EXIT):
        if open_pool.is_of_this_process():
            open_pool.close()


def make_pool(connection_factory: ConnectionFactory) -> Any:
    """Return the pool that the config asks for, not open yet."""
    null, asynchronous = connection_factory.config.pool.null, connection_factory.asynchronous
    if asynchronous:
        return (AsyncNullPool if null else AsyncPool)(connection_factory)
    return (SyncNullPool if null else SyncPool)(connection_factory)
