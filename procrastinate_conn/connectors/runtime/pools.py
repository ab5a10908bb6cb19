"""psycopg_pool for every driver: pools that hand out no dead connection, and say why they have none."""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Self
from weakref import WeakSet

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

from procrastinate_conn.connectors.runtime.acquire import RECONNECT_INTERVAL, AcquireAttempt
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    ConnectionFactory,
    SyncConnectionFactory,
)

logger = logging.getLogger(__name__)

RESTART_DELAY = 1.0
"""Seconds that a pool tries to connect before it starts anew, at least, however soon it is to give up."""

CLOSE_TIMEOUT = 0.2
"""Seconds to wait, when a pool is closed, for those of its workers that are connecting. They cannot be
interrupted, and they end by themselves."""

_RECONNECTION = (pool.AddConnection, pool_async.AddConnection)
"""Neither these tasks nor `schedule_task` are documented; a test of the intervals notices if they change."""


class _SharedPool(BasePool):
    """What the synchronous and the asynchronous pool share: whatever waits for nothing.

    Parameters
    ----------
    connection_factory
        Makes the connections; its config has the pool options.
    asynchronous
        Which of the callbacks to call.

    Attributes
    ----------
    requests, requests_failed : int
        Callers who asked for a connection, and those who got none; psycopg_pool counts each of their tries.
    recheck_count : int
        Calls that go round all connections, since one was found dead.
    lifo_window : float
        Seconds that a connection is left idle while others are in use: its age is checked on its return.
    """

    def __init__(self, connection_factory: ConnectionFactory, *, asynchronous: bool) -> None:
        options = connection_factory.config.pool
        self.connection_factory = connection_factory
        self.check_connection: Any = connection_factory.check_alive  # type: ignore[attr-defined]
        self.user_check: Any = options.callback("check", asynchronous=asynchronous)
        self.requests = self.requests_failed = 0
        self.recheck_count = 0
        arguments: dict[str, Any] = options.arguments(asynchronous=asynchronous)
        arguments.pop("configure", None)  # the factory's
        if options.null:  # which does not start anew once it has given up
            arguments["reconnect_timeout"] = max(
                options.timeout, arguments.get("reconnect_timeout", options.timeout)
            )
        super().__init__(**{**arguments, "connection_class": connection_factory, "kwargs": {}, "open": False})
        self.lifo_window = min(options.check_after or math.inf, self.max_lifetime)

    def close(self, timeout: float = 5.0) -> Any:
        """Close the pool, without waiting for attempts to connect."""
        parent: Any = super()
        return parent.close(CLOSE_TIMEOUT if self.connection_factory.pending_attempts else timeout)

    def schedule_task(self, task: Any, delay: float) -> Any:
        """Run a task later, as psycopg_pool asks, but a reconnection soon."""
        parent: Any = super()
        return parent.schedule_task(
            task, min(delay, RECONNECT_INTERVAL) if isinstance(task, _RECONNECTION) else delay
        )

    def _seconds_left(self, attempt: AcquireAttempt) -> float:
        """Return the seconds for the next try, or raise the error of an attempt that has timed out."""
        seconds = attempt.seconds_left()
        if attempt.has_timed_out(seconds):  # psycopg_pool hands out what it has even then
            message = f"couldn't get a connection after {attempt.timeout:.2f} sec"
            self.connection_factory.raise_timeout(message, attempt.rejection)
        return seconds

    def _use_lifo(self) -> None:
        """Hand out connections LIFO, so that warm backends are reused.

        psycopg_pool has no option for that: it takes the connection that has been idle the longest. That is
        right after one was found dead, since the others may be, too, and if one has been idle for long.
        """
        if self.recheck_count > 0:
            self.recheck_count -= 1
            return
        idle = self._pool  # the one private attribute of psycopg_pool's that is used
        try:
            idle_since = idle[0].liveness.idle_since
        except IndexError:
            return
        if monotonic() - idle_since < self.lifo_window:
            idle.rotate()

    def _mark_loss(self) -> None:
        self.recheck_count = self.max_size
        self.connection_factory.last_loss = monotonic()

    def _mark_discarded(self, reason: BaseException) -> None:
        logger.info("discarding a connection of pool %r before use: %s", self.name, reason)
        self._mark_loss()


class SyncPool(_SharedPool, ConnectionPool[Any]):
    """A pool of connections of any synchronous driver."""

    connection_factory: SyncConnectionFactory

    def __init__(self, connection_factory: SyncConnectionFactory) -> None:
        self._process_id = os.getpid()
        super().__init__(connection_factory, asynchronous=False)

    def __del__(self) -> None:
        if self.is_of_this_process():
            super().__del__()

    def is_of_this_process(self) -> bool:
        """Tell whether the pool's threads are here: in a child of the process they are the parent's."""
        return self._process_id == os.getpid()

    def open_and_wait(self) -> Self:
        """Open and fill the pool, and return it.

        Raises
        ------
        psycopg_pool.PoolTimeout
            It is not full within its `timeout`; the message says why, and the pool is closed.
        """
        _TO_CLOSE_AT_EXIT.add(self)
        try:
            self.open(wait=True, timeout=self.timeout)
        except PoolTimeout:
            self.connection_factory.raise_timeout(_incomplete(self.timeout))
        except BaseException:
            self.close()
            raise
        return self

    def getconn(self, timeout: float | None = None) -> Any:
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        self.requests += 1
        attempt = AcquireAttempt(self.timeout if timeout is None else timeout, self.max_size)
        try:
            while (connection := self._acquire_checked(attempt)) is None:
                time.sleep(attempt.pause)
        except BaseException:
            self.requests_failed += 1
            raise
        return connection

    def _acquire_checked(self, attempt: AcquireAttempt) -> Any:
        """Return a connection that is alive; None if there is none yet."""
        self._use_lifo()
        seconds = self._seconds_left(attempt)
        try:
            connection = super().getconn(seconds)
        except self.connection_factory.errors as error:  # also the driver's: a null pool connects in here
            attempt.failed(error)
            return None
        try:
            rejection = self._rejection(connection, attempt)
        except BaseException as error:  # a signal's: the caller is out of time
            self._discard(connection, error)
            raise
        if rejection is None:
            return connection
        self._discard(connection, rejection)
        attempt.rejected(rejection)
        return None

    def _rejection(self, connection: Any, attempt: AcquireAttempt) -> Exception | None:
        """Return why a connection is not to be used; None if it is."""
        try:
            if self.connection_factory.should_ping(connection):
                self.connection_factory.check_alive(connection, attempt.ping_timeout())
        except self.connection_factory.errors as error:
            return error
        try:
            if self.user_check is not None:
                self.user_check(connection)
        except Exception as error:  # noqa: BLE001 - whatever the caller's function raises
            return error
        return None

    def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        if conn.closed:
            self._mark_loss()
        conn.liveness.idle_since = monotonic()
        super().putconn(conn)

    def _discard(self, connection: Any, reason: BaseException) -> None:
        self._mark_discarded(reason)
        self.connection_factory.discard(connection)
        super().putconn(connection)

    def reconnect_failed(self) -> None:
        """Connect anew: psycopg_pool has given up, and forgets the callers who wait."""
        try:
            super().reconnect_failed()
        finally:
            time.sleep(max(0.0, RESTART_DELAY - self.reconnect_timeout))
            self.check()  # which lets the pool grow


class AsyncPool(_SharedPool, AsyncConnectionPool[Any]):
    """A pool of connections of any asynchronous driver."""

    connection_factory: AsyncConnectionFactory

    def __init__(self, connection_factory: AsyncConnectionFactory) -> None:
        super().__init__(connection_factory, asynchronous=True)

    async def open_and_wait(self) -> Self:
        """Open and fill the pool, and return it.

        Raises
        ------
        psycopg_pool.PoolTimeout
            It is not full within its `timeout`; the message says why, and the pool is closed.
        """
        try:
            await self.open(wait=True, timeout=self.timeout)
        except PoolTimeout:
            self.connection_factory.raise_timeout(_incomplete(self.timeout))
        except BaseException:
            await self.close()
            raise
        return self

    async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - psycopg_pool's name
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        self.requests += 1
        attempt = AcquireAttempt(self.timeout if timeout is None else timeout, self.max_size)
        try:
            while (connection := await self._acquire_checked(attempt)) is None:  # noqa: ASYNC110
                await asyncio.sleep(attempt.pause)
        except BaseException:
            self.requests_failed += 1
            raise
        return connection

    async def _acquire_checked(self, attempt: AcquireAttempt) -> Any:
        self._use_lifo()
        seconds = self._seconds_left(attempt)
        try:
            connection = await super().getconn(seconds)
        except self.connection_factory.errors as error:
            attempt.failed(error)
            return None
        try:
            rejection = await self._rejection(connection, attempt)
        except BaseException as error:
            await self._discard(connection, error)
            raise
        if rejection is None:
            return connection
        await self._discard(connection, rejection)
        attempt.rejected(rejection)
        return None

    async def _rejection(self, connection: Any, attempt: AcquireAttempt) -> Exception | None:
        try:
            if self.connection_factory.should_ping(connection):
                await self.connection_factory.check_alive(connection, attempt.ping_timeout())
        except self.connection_factory.errors as error:
            return error
        try:
            if self.user_check is not None:
                await self.user_check(connection)
        except Exception as error:  # noqa: BLE001 - as above
            return error
        return None

    async def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        await self._shielded(self._return, conn)

    async def _return(self, connection: Any) -> None:
        if connection.closed:  # by the server; aiopg then leaves a reader with the event loop, on a
            await connection.close()  # descriptor that the next connection will have
            self._mark_loss()
        connection.liveness.idle_since = monotonic()
        await super().putconn(connection)

    async def _discard(self, connection: Any, reason: BaseException) -> None:
        self._mark_discarded(reason)
        await self._shielded(self._discard_and_replace, connection)

    async def _discard_and_replace(self, connection: Any) -> None:
        await self.connection_factory.discard(connection)
        await super().putconn(connection)

    async def _shielded(self, work: Callable[[Any], Coroutine[Any, Any, None]], connection: Any) -> None:
        """Finish `work` even if the task is cancelled: psycopg_pool awaits its lock, and loses the slot."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the loop was closed under the task, and with it the pool
            self.connection_factory.abort(connection)
            return
        task = _start(work(connection), loop)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    async def reconnect_failed(self) -> None:
        """Connect anew: psycopg_pool has given up, and forgets the callers who wait."""
        try:
            await super().reconnect_failed()
        finally:
            await asyncio.sleep(max(0.0, RESTART_DELAY - self.reconnect_timeout))
            await self.check()  # which lets the pool grow


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


def _incomplete(timeout: float) -> str:
    return f"pool initialization incomplete after {timeout:.2f} sec"


if sys.version_info >= (3, 12):

    def _start(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
        # Over at once if nobody else uses the pool. Some versions do not find the loop by themselves.
        return asyncio.Task(work, loop=loop, eager_start=True)

else:

    def _start(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
        return loop.create_task(work)


def sync_pool(connection_factory: SyncConnectionFactory) -> SyncPool:
    """Return the pool that the config asks for, not open yet."""
    return (SyncNullPool if connection_factory.config.pool.null else SyncPool)(connection_factory)


def async_pool(connection_factory: AsyncConnectionFactory) -> AsyncPool:
    """Return the pool that the config asks for, not open yet."""
    return (AsyncNullPool if connection_factory.config.pool.null else AsyncPool)(connection_factory)
