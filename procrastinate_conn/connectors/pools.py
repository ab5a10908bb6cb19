"""psycopg_pool for every driver: pools that hand out no dead connection, and say why they have none."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import time
from itertools import count
from time import monotonic
from typing import Any, Self
from weakref import WeakSet

from psycopg_pool import (
    AsyncConnectionPool,
    AsyncNullConnectionPool,
    ConnectionPool,
    NullConnectionPool,
    PoolClosed,
    PoolTimeout,
    TooManyRequests,
    pool,
    pool_async,
)

from procrastinate_conn.connectors.dialing import ANSWERS_WITHIN, AsyncDialler, Dialler, SyncDialler

logger = logging.getLogger(__name__)

RECONNECT_WITHIN = 5.0
"""Seconds between two attempts to replace a connection, at most. psycopg_pool doubles them without a limit:
after an outage of minutes it would sleep for minutes more."""

BEGIN_ANEW_AFTER = 1.0
"""Seconds that a pool tries to connect before it begins anew, at least, however soon it is to give up."""

CLOSE_WITHIN = 0.2
"""Seconds to wait, when a pool is closed, for those of its workers that are connecting. They cannot be
interrupted, and they end by themselves."""


class SyncPool(ConnectionPool[Any]):
    """A pool of connections of any synchronous driver.

    Parameters
    ----------
    dialler
        The driver, which holds the pool options too.

    Attributes
    ----------
    discarded : int
        Connections that were found dead before they were handed out.
    to_look_at : int
        Calls that go round all connections, since one was found dead.
    """

    def __init__(self, dialler: SyncDialler) -> None:
        self._process_id = os.getpid()
        self.dialler = dialler
        self.check_too = dialler.blueprint.pool.callback("check", asynchronous=False)
        self.discarded = 0
        self.to_look_at = 0
        super().__init__(**_arguments(dialler, asynchronous=False))

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
            self.dialler.give_up("pool initialization incomplete", self.timeout)
        except BaseException:
            self.close()
            raise
        return self

    def getconn(self, timeout: float | None = None) -> Any:
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        timeout = self.timeout if timeout is None else timeout
        deadline = monotonic() + timeout
        unfit: Exception | None = None
        for attempt in count():
            _settle_order(self)
            try:
                connection = super().getconn(deadline - monotonic())
            except (PoolClosed, TooManyRequests):
                raise
            except Exception as error:  # the driver's, from a null pool, which connects in here
                if not isinstance(error, PoolTimeout) and not self.dialler.blueprint.pool.null:
                    raise  # a signal's: the caller is out of time
                if monotonic() >= deadline:
                    self.dialler.give_up("couldn't get a connection", timeout, unfit)
                time.sleep(_until_next_attempt(attempt, deadline))
                continue
            try:
                self._examine(connection, _answers_within(attempt, deadline))
            except BaseException as error:
                self._discard(connection, error)
                if not isinstance(error, Exception):
                    raise
                unfit = error
                time.sleep(_pause(attempt, self.max_size, deadline))
                if monotonic() >= deadline:  # psycopg_pool hands out what it has even then
                    self.dialler.give_up("couldn't get a connection", timeout, unfit)
            else:
                return connection
        raise AssertionError

    def close(self, timeout: float = 5.0) -> None:
        """Close the pool, without waiting for attempts to connect."""
        super().close(CLOSE_WITHIN if self.dialler.under_way else timeout)

    def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        if conn.closed:
            _has_lost_one(self)
        self.dialler.idles(conn)
        super().putconn(conn)

    def schedule_task(self, task: pool.MaintenanceTask, delay: float) -> None:
        """Run a task later, as psycopg_pool asks, but a reconnection soon."""
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
            self.dialler.ping(conn)
        except Exception:
            self.dialler.drop(conn)
            raise

    def _examine(self, connection: Any, answers_within: float) -> None:
        if not self.dialler.vouches_for(connection):
            self.dialler.ping(connection, answers_within)
        if self.check_too is not None:
            self.check_too(connection)

    def _discard(self, connection: Any, why: BaseException) -> None:
        logger.info("discarding a connection of pool %r before use: %s", self.name, why)
        self.discarded += 1
        _has_lost_one(self)
        self.dialler.drop(connection)
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
    dialler
        The driver, which holds the pool options too.

    Attributes
    ----------
    discarded : int
        Connections that were found dead before they were handed out.
    to_look_at : int
        Calls that go round all connections, since one was found dead.
    """

    def __init__(self, dialler: AsyncDialler) -> None:
        self.dialler = dialler
        self.check_too = dialler.blueprint.pool.callback("check", asynchronous=True)
        self.discarded = 0
        self.to_look_at = 0
        super().__init__(**_arguments(dialler, asynchronous=True))

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
            self.dialler.give_up("pool initialization incomplete", self.timeout)
        except BaseException:
            await self.close()
            raise
        return self

    async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - psycopg_pool's name
        """Return a connection that is alive; a dead one is replaced without its caller's notice."""
        timeout = self.timeout if timeout is None else timeout
        deadline = monotonic() + timeout
        unfit: Exception | None = None
        for attempt in count():
            _settle_order(self)
            try:
                connection = await super().getconn(deadline - monotonic())
            except (PoolClosed, TooManyRequests):
                raise
            except Exception:  # noqa: BLE001 - the driver's, from a null pool, which connects in here
                if monotonic() >= deadline:
                    self.dialler.give_up("couldn't get a connection", timeout, unfit)
                await asyncio.sleep(_until_next_attempt(attempt, deadline))
                continue
            try:
                await self._examine(connection, _answers_within(attempt, deadline))
            except BaseException as error:
                await self._discard(connection, error)
                if not isinstance(error, Exception):
                    raise
                unfit = error
                await asyncio.sleep(_pause(attempt, self.max_size, deadline))
                if monotonic() >= deadline:
                    self.dialler.give_up("couldn't get a connection", timeout, unfit)
            else:
                return connection
        raise AssertionError

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - psycopg_pool's name
        """Close the pool, without waiting for attempts to connect."""
        await super().close(CLOSE_WITHIN if self.dialler.under_way else timeout)

    async def putconn(self, conn: Any) -> None:
        """Take a connection back."""
        if conn.closed:  # by the server; aiopg then leaves a reader with the event loop, on a descriptor
            await conn.close()  # that the next connection will have
            _has_lost_one(self)
        self.dialler.idles(conn)
        await self._give_back(conn)

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
            await self.dialler.ping(conn)
        except Exception:
            await self.dialler.drop(conn)
            raise

    async def _examine(self, connection: Any, answers_within: float) -> None:
        if not self.dialler.vouches_for(connection):
            await self.dialler.ping(connection, answers_within)
        if self.check_too is not None:
            await self.check_too(connection)

    async def _give_back(self, connection: Any) -> None:
        await super().putconn(connection)

    async def _discard(self, connection: Any, why: BaseException) -> None:
        logger.info("discarding a connection of pool %r before use: %s", self.name, why)
        self.discarded += 1
        _has_lost_one(self)
        await self.dialler.drop(connection)
        await self._give_back(connection)


class SyncNullPool(SyncPool, NullConnectionPool[Any]):
    """The same, keeping no connections."""


class AsyncNullPool(AsyncPool, AsyncNullConnectionPool[Any]):
    """The same, keeping no connections."""

    async def _give_back(self, connection: Any) -> None:
        """Go on to the end though the task is cancelled: psycopg_pool waits here, and would lose the slot."""
        giving_back = asyncio.ensure_future(super()._give_back(connection))
        try:
            await asyncio.shield(giving_back)
        except asyncio.CancelledError:
            await asyncio.wait([giving_back])
            raise


def sync_pool(dialler: SyncDialler) -> SyncPool:
    """Return the pool that the dialler's options ask for, not open yet."""
    return SyncNullPool(dialler) if dialler.blueprint.pool.null else SyncPool(dialler)


def async_pool(dialler: AsyncDialler) -> AsyncPool:
    """Return the pool that the dialler's options ask for, not open yet."""
    return AsyncNullPool(dialler) if dialler.blueprint.pool.null else AsyncPool(dialler)


def _arguments(dialler: Dialler, *, asynchronous: bool) -> dict[str, Any]:
    """Return what to pass to psycopg_pool: the options, save those that the dialler sees to."""
    arguments = dialler.blueprint.pool.arguments(asynchronous=asynchronous)
    arguments.pop("configure", None)
    if dialler.blueprint.pool.null:  # which does not begin anew once it has given up
        waits = dialler.blueprint.pool.timeout
        arguments["reconnect_timeout"] = max(waits, arguments.get("reconnect_timeout", waits))
    return {**arguments, "connection_class": dialler, "kwargs": {}, "open": False}


def _has_lost_one(pool_: SyncPool | AsyncPool) -> None:
    """Note that a connection was found dead: the others may be, too."""
    pool_.to_look_at = pool_.max_size
    pool_.dialler.lost_at = monotonic()


def _settle_order(pool_: SyncPool | AsyncPool) -> None:
    """Let the connection be handed out next that came back last: its server process is warm.

    psycopg_pool takes the one that has been idle the longest, so that a caller of one connection after the
    other goes round all of them; it has no option for that. It is right where one was found dead, since the
    others may be, too.
    """
    if pool_.to_look_at > 0:
        pool_.to_look_at -= 1
    else:
        pool_._pool.rotate()  # noqa: SLF001 - the one private attribute of psycopg_pool's that is used


def _answers_within(attempt: int, deadline: float) -> float:
    """Return the seconds that a connection has to answer: ever fewer, as all may be lost like the first."""
    return max(0.1, min(ANSWERS_WITHIN / 2.0 ** min(attempt, 8), deadline - monotonic()))


def _pause(attempt: int, max_size: int, deadline: float) -> float:
    """Return the seconds to wait after a dead connection: none while they may be left from an outage."""
    return max(0.0, min(0.1 * max(0, attempt - max_size), 1.0, deadline - monotonic()))


def _until_next_attempt(attempt: int, deadline: float) -> float:
    """Return the seconds to wait after an attempt to connect has failed: ever longer."""
    return max(0.0, min(0.5 * 2.0 ** min(attempt, 4), RECONNECT_WITHIN, deadline - monotonic()))


def _soon(delay: float) -> float:
    return min(delay, RECONNECT_WITHIN)
