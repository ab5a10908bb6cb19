"""psycopg_pool for every driver: pools that hand out no dead connection, and say why they have none."""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import sys
import time
from collections.abc import Coroutine
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

from procrastinate_conn.connectors.runtime.acquire import RECONNECT_WITHIN, AcquireAttempt
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    ConnectionFactory,
    SyncConnectionFactory,
)

logger = logging.getLogger(__name__)

BEGIN_ANEW_AFTER = 1.0
"""Seconds that a pool tries to connect before it begins anew, at least, however soon it is to give up."""

CLOSE_WITHIN = 0.2
"""Seconds to wait, when a pool is closed, for those of its workers that are connecting. They cannot be
interrupted, and they end by themselves."""


class SyncPool(ConnectionPool[Any]):
    """A pool of connections of any synchronous driver.

    Parameters
    ----------
    connection_factory
        The driver, which holds the pool options too.

    Attributes
    ----------
    requests, requests_failed : int
        Callers who asked for a connection, and those of them who got none: psycopg_pool counts each attempt.
    to_look_at : int
        Calls that go round all connections, since one was found dead.
    rests_for : float
        Seconds that a connection is left idle while others are in use; its age is looked at on its return.
    """

    def __init__(self, connection_factory: SyncConnectionFactory) -> None:
        self._process_id = os.getpid()
        self.connection_factory = connection_factory
        self.check_too = connection_factory.config.pool.callback("check", asynchronous=False)
        self.requests = self.requests_failed = 0
        self.to_look_at = 0
        super().__init__(**_arguments(connection_factory, asynchronous=False))
        self.rests_for = min(connection_factory.config.pool.check_after or math.inf, self.max_lifetime)

    def __del__(self) -> None:
        if self.is_of_this_process():
            super().__del__()

    def is_of_this_process(self) -> bool:
        """Tell whether the pool's threads are here: in a child of the process they are the parent's."""
        return self._process_id == os.getpid()

    def opened(self) -> Self:
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
            self.connection_factory.raise_timeout("pool initialization incomplete", self.timeout)
        except BaseException:
            self.close()
            raise
        return self

    def getconn(self, timeout: float | None = None) -> Any:
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        self.requests += 1
        try:
            return self._found(
                AcquireAttempt(
                    self.connection_factory, self.timeout if timeout is None else timeout, self.max_size
                )
            )
        except BaseException:
            self.requests_failed += 1
            raise

    def _found(self, wait: AcquireAttempt) -> Any:
        while True:
            _settle_order(self)
            seconds = wait.seconds_left()
            try:
                connection = super().getconn(seconds)
            except self.connection_factory.errors as error:  # also the driver's: a null pool connects in here
                time.sleep(wait.pause_without(error))
                continue
            try:
                unfit = self._unfitness(connection, wait.answers_within())
            except BaseException as error:  # a signal's: the caller is out of time
                self._discard(connection, error)
                raise
            if unfit is None:
                return connection
            self._discard(connection, unfit)
            time.sleep(wait.pause_after(unfit))

    def close(self, timeout: float = 5.0) -> None:
        """Close the pool, without waiting for attempts to connect."""
        super().close(CLOSE_WITHIN if self.connection_factory.pending_attempts else timeout)

    def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        if conn.closed:
            _has_lost_one(self)
        self.connection_factory.mark_idle(conn)
        super().putconn(conn)

    def schedule_task(self, task: pool.MaintenanceTask, delay: float) -> None:
        """Run a task later, as psycopg_pool asks, but a reconnection soon.

        Neither this method nor its tasks are documented; a test of the intervals notices if they change.
        """
        super().schedule_task(task, _soon(delay) if isinstance(task, pool.AddConnection) else delay)

    def reconnect_failed(self) -> None:
        """Begin anew to connect: psycopg_pool has given up, and forgets the callers who wait."""
        try:
            super().reconnect_failed()
        finally:
            time.sleep(max(0.0, BEGIN_ANEW_AFTER - self.reconnect_timeout))
            self.check()  # which lets the pool grow

    def check_connection(self, conn: Any) -> None:  # type: ignore[override]  # a static method of psycopg's
        """Ask a connection for real whether it is alive; `check` does so with those that are idle."""
        try:
            self.connection_factory.check_alive(conn)
        except Exception:
            self.connection_factory.drop(conn)
            raise

    def _unfitness(self, connection: Any, answers_within: float) -> Exception | None:
        """Return why a connection is not to be used, or None."""
        try:
            if self.connection_factory.should_ping(connection):
                self.connection_factory.check_alive(connection, answers_within)
        except self.connection_factory.errors as error:
            return error
        try:
            if self.check_too is not None:
                self.check_too(connection)
        except Exception as error:  # noqa: BLE001 - whatever the caller's function raises
            return error
        return None

    def _discard(self, connection: Any, why: BaseException) -> None:
        logger.info("discarding a connection of pool %r before use: %s", self.name, why)
        _has_lost_one(self)
        self.connection_factory.drop(connection)
        super().putconn(connection)


_TO_CLOSE_AT_EXIT: WeakSet[SyncPool] = WeakSet()


@atexit.register
def _close_what_nobody_closed() -> None:
    """Close while threads can still end: from Python 3.13 on, `__del__` would wait for them in vain."""
    for pool_ in list(_TO_CLOSE_AT_EXIT):
        if pool_.is_of_this_process():
            pool_.close()


class AsyncPool(AsyncConnectionPool[Any]):
    """A pool of connections of any asynchronous driver; otherwise as `SyncPool`.

    Parameters
    ----------
    connection_factory
        The driver, which holds the pool options too.

    Attributes
    ----------
    requests, requests_failed : int
        Callers who asked for a connection, and those of them who got none: psycopg_pool counts each attempt.
    to_look_at : int
        Calls that go round all connections, since one was found dead.
    rests_for : float
        Seconds that a connection is left idle while others are in use; its age is looked at on its return.
    """

    def __init__(self, connection_factory: AsyncConnectionFactory) -> None:
        self.connection_factory = connection_factory
        self.check_too = connection_factory.config.pool.callback("check", asynchronous=True)
        self.requests = self.requests_failed = 0
        self.to_look_at = 0
        super().__init__(**_arguments(connection_factory, asynchronous=True))
        self.rests_for = min(connection_factory.config.pool.check_after or math.inf, self.max_lifetime)

    async def opened(self) -> Self:
        """Open and fill the pool, and return it.

        Raises
        ------
        psycopg_pool.PoolTimeout
            It is not full within its `timeout`; the message says why, and the pool is closed.
        """
        try:
            await self.open(wait=True, timeout=self.timeout)
        except PoolTimeout:
            self.connection_factory.raise_timeout("pool initialization incomplete", self.timeout)
        except BaseException:
            await self.close()
            raise
        return self

    async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - psycopg_pool's name
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        self.requests += 1
        try:
            return await self._found(
                AcquireAttempt(
                    self.connection_factory, self.timeout if timeout is None else timeout, self.max_size
                )
            )
        except BaseException:
            self.requests_failed += 1
            raise

    async def _found(self, wait: AcquireAttempt) -> Any:
        while True:
            _settle_order(self)
            seconds = wait.seconds_left()
            try:
                connection = await super().getconn(seconds)
            except self.connection_factory.errors as error:
                await asyncio.sleep(wait.pause_without(error))
                continue
            try:
                unfit = await self._unfitness(connection, wait.answers_within())
            except BaseException as error:
                await self._discard(connection, error)
                raise
            if unfit is None:
                return connection
            await self._discard(connection, unfit)
            await asyncio.sleep(wait.pause_after(unfit))

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - psycopg_pool's name
        """Close the pool, without waiting for attempts to connect."""
        await super().close(CLOSE_WITHIN if self.connection_factory.pending_attempts else timeout)

    async def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        await _to_the_end(self._take_back(conn))

    async def schedule_task(self, task: pool_async.MaintenanceTask, delay: float) -> None:
        """Run a task later, as psycopg_pool asks, but a reconnection soon."""
        await super().schedule_task(
            task, _soon(delay) if isinstance(task, pool_async.AddConnection) else delay
        )

    async def reconnect_failed(self) -> None:
        """Begin anew to connect: psycopg_pool has given up, and forgets the callers who wait."""
        try:
            await super().reconnect_failed()
        finally:
            await asyncio.sleep(max(0.0, BEGIN_ANEW_AFTER - self.reconnect_timeout))
            await self.check()  # which lets the pool grow

    async def check_connection(self, conn: Any) -> None:  # type: ignore[override]  # as above
        """Ask a connection for real whether it is alive; `check` does so with those that are idle."""
        try:
            await self.connection_factory.check_alive(conn)
        except Exception:
            await self.connection_factory.drop(conn)
            raise

    async def _unfitness(self, connection: Any, answers_within: float) -> Exception | None:
        try:
            if self.connection_factory.should_ping(connection):
                await self.connection_factory.check_alive(connection, answers_within)
        except self.connection_factory.errors as error:
            return error
        try:
            if self.check_too is not None:
                await self.check_too(connection)
        except Exception as error:  # noqa: BLE001 - as above
            return error
        return None

    async def _take_back(self, connection: Any) -> None:
        if connection.closed:  # by the server; aiopg then leaves a reader with the event loop, on a
            await connection.close()  # descriptor that the next connection will have
            _has_lost_one(self)
        self.connection_factory.mark_idle(connection)
        await super().putconn(connection)

    async def _discard(self, connection: Any, why: BaseException) -> None:
        logger.info("discarding a connection of pool %r before use: %s", self.name, why)
        _has_lost_one(self)
        await _to_the_end(self._drop(connection))

    async def _drop(self, connection: Any) -> None:
        await self.connection_factory.drop(connection)
        await super().putconn(connection)


class SyncNullPool(SyncPool, NullConnectionPool[Any]):
    """The same, keeping no connections."""


class AsyncNullPool(AsyncPool, AsyncNullConnectionPool[Any]):
    """The same, keeping no connections."""


async def _to_the_end(giving_back: Coroutine[Any, Any, None]) -> None:
    """Go on though the task is cancelled: psycopg_pool waits here for its lock, and would lose the slot."""
    task = _begun(giving_back)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


if sys.version_info >= (3, 12):

    def _begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # Over at once where nobody else is at the pool. Some versions do not find the loop by themselves.
        return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)

else:

    def _begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.ensure_future(work)


def sync_pool(connection_factory: SyncConnectionFactory) -> SyncPool:
    """Return the pool that the connection_factory's options ask for, not open yet."""
    return (
        SyncNullPool(connection_factory)
        if connection_factory.config.pool.null
        else SyncPool(connection_factory)
    )


def async_pool(connection_factory: AsyncConnectionFactory) -> AsyncPool:
    """Return the pool that the connection_factory's options ask for, not open yet."""
    return (
        AsyncNullPool(connection_factory)
        if connection_factory.config.pool.null
        else AsyncPool(connection_factory)
    )


def _arguments(connection_factory: ConnectionFactory, *, asynchronous: bool) -> dict[str, Any]:
    """Return what to pass to psycopg_pool: the options, save those that the connection_factory sees to."""
    arguments = connection_factory.config.pool.arguments(asynchronous=asynchronous)
    arguments.pop("configure", None)
    if connection_factory.config.pool.null:  # which does not begin anew once it has given up
        waits = connection_factory.config.pool.timeout
        arguments["reconnect_timeout"] = max(waits, arguments.get("reconnect_timeout", waits))
    return {**arguments, "connection_class": connection_factory, "kwargs": {}, "open": False}


def _has_lost_one(pool_: SyncPool | AsyncPool) -> None:
    """Note that a connection was found dead: the others may be, too."""
    pool_.to_look_at = pool_.max_size
    pool_.connection_factory.last_loss = monotonic()


def _settle_order(pool_: SyncPool | AsyncPool) -> None:
    """Let the connection be handed out next that came back last: its server process is warm.

    psycopg_pool takes the one that has been idle the longest, so that a caller of one connection after the
    other goes round all of them; it has no option for that. It is right where one was found dead, since the
    others may be, too; and where one has rested for long.
    """
    if pool_.to_look_at > 0:
        pool_.to_look_at -= 1
        return
    idle = pool_._pool  # noqa: SLF001 - the one private attribute of psycopg_pool's that is used
    try:
        longest = pool_.connection_factory.idle_seconds(idle[0])
    except IndexError:  # there is none
        return
    if longest < pool_.rests_for:
        idle.rotate()


def _soon(delay: float) -> float:
    return min(delay, RECONNECT_WITHIN)
