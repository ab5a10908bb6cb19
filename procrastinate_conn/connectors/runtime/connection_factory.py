"""How a connection is dialled: as the config says, keeping the reason where it fails."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, ClassVar, NoReturn, Protocol
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from procrastinate_conn import drivers, libpq
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime.liveness import is_readable, shutdown_after, shutdown_after_async
from procrastinate_conn.registry import ConnectorKind

PING_TIMEOUT = 5.0
"""Seconds that a connection has to answer when it is asked whether it is alive. Without a limit callers wait
for the operating system to give up, and for ever where a middlebox acknowledges and does not answer."""

LOSS_WINDOW = 60.0
"""Seconds after a loss in which a connection may be lost that was dialled in its place."""


class ConnectionFactory:
    """Dials the connections of one pool, and tells which of them are alive.

    It stands in a pool's ``connection_class``, of which psycopg_pool needs nothing but ``connect``. So
    the connection string, with its secrets, is made anew for every connection and lies nowhere else.

    Parameters
    ----------
    config
        Where to connect, and as whom.

    Attributes
    ----------
    failure : Exception or None
        Why the last attempt failed; None if it did not.
    pending_attempts : set
        Attempts that have not ended yet.
    lost_at : float
        When a connection was lost; for a while, a new one is asked before its first use.
    ended : WeakSet
        Connections whose server has said farewell in a notice.
    kind : ConnectorKind
        A kind with the same driver, whose libpq may know fewer keywords than psycopg's.
    errors : tuple of type
        The errors by which driver and pool say that they cannot connect, or that a connection is lost.
    """

    kind: ClassVar[ConnectorKind]
    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error,)

    def __init__(self, config: ConnectorConfig) -> None:
        self.config = config
        self.last_error: Exception | None = None
        self.pending_attempts: set[object] = set()
        self.last_loss = -math.inf
        self.terminated: WeakSet[Any] = WeakSet()
        self._idle_since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def fileno(self, connection: Any) -> int:
        """Return the descriptor of a connection's socket."""
        descriptor: int = connection.fileno()
        return descriptor

    def mark_new(self, connection: Any) -> None:
        """Note that a connection is new.

        Whoever ends sessions may end it, too, and a farewell that libpq reads together with the end of the
        login is heard by nobody.
        """
        now = monotonic()
        self._idle_since[connection] = -math.inf if now - self.last_loss < LOSS_WINDOW else now

    def mark_idle(self, connection: Any) -> None:
        """Note that a connection is idle from now on."""
        self._idle_since[connection] = monotonic()

    def idle_seconds(self, connection: Any) -> float:
        """Return the seconds that a connection has been idle; infinitely many if it is to be asked first."""
        return monotonic() - self._idle_since[connection]

    def is_terminated(self, connection: Any) -> bool:
        """Tell whether libpq has read the server's farewell together with an answer.

        It is no longer in the socket then, and until the server process has ended nothing else tells of it.
        """
        return connection in self.terminated

    def should_ping(self, connection: Any) -> bool:
        """Tell whether a connection has to be pinged: without that it is not certain that it is alive.

        After ``check_after`` seconds of idleness silence proves nothing: a firewall may have dropped the
        connection without telling either side.

        Raises
        ------
        Exception
            The driver's: the connection is closed.
        """
        return (
            self.idle_seconds(connection) >= self.config.pool.check_after
            or self.is_terminated(connection)
            or is_readable(self.fileno(connection))
        )

    def _require_silence(self, connection: Any) -> None:
        if self.is_terminated(connection):
            raise psycopg.OperationalError("the server says farewell")

    def drop(self, connection: Any) -> Any:
        """Close a connection that is of no use; that of an asynchronous driver is to be awaited."""
        return connection.close()

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """Everything that it takes to connect, with any driver, happens in here."""
        attempt = object()
        self.pending_attempts.add(attempt)
        try:
            yield
        except Exception as error:
            said = self.config.spec.redact(str(error))
            if said == str(error):
                self.last_error = error
                raise
            self.last_error = psycopg.OperationalError(said)
            raise self.last_error from None
        finally:
            self.pending_attempts.remove(attempt)
        self.last_error = None

    def _conninfo(self, connect_timeout: int | None) -> str:
        """Return the connection string for one connection.

        Parameters
        ----------
        connect_timeout
            Seconds that the pool leaves for it; a shorter `connect_timeout` in the spec counts.

        Raises
        ------
        psycopg.OperationalError
            The source of the password failed.
        """
        spec = self.config.spec
        try:
            anew = self.config.credentials()
        except Exception as error:  # noqa: BLE001 - whatever the source raises
            # Without the traceback, whose frames hold the last password.
            said = f"the source of the password failed: {error}"
            raise psycopg.OperationalError(said) from error.with_traceback(None)
        limits = [libpq.integer(spec.parameters.get("connect_timeout", "")) or 0, connect_timeout or 0]
        if least := min((limit for limit in limits if limit > 0), default=0):
            anew["connect_timeout"] = str(least)
        stated = spec.conninfo(drivers.keywords(self.kind))
        return f"{stated} {libpq.conninfo(anew)}"  # of a keyword stated twice, the last one counts

    def raise_timeout(self, what: str, seconds: float, discarded_for: Exception | None = None) -> NoReturn:
        """Raise the error of one who waited in vain, naming what keeps the pool from connecting.

        Parameters
        ----------
        what
            What did not happen in time.
        seconds
            How long it was waited for.
        discarded_for
            Why the last connection was not handed out, where there were some.

        Raises
        ------
        psycopg_pool.PoolTimeout
            Always; its cause is the failure of the last attempt to connect, if that failed.
        """
        message = f"{what} after {seconds:.2f} sec"
        if self.last_error is None and self.pending_attempts:
            where = " or ".join(str(host) for host in hosts(self.config.spec.redacted()))
            raise PoolTimeout(f"{message}; there is no answer yet from {where}") from None
        reason, what_failed = self.last_error, "the last attempt to connect failed"
        if reason is None:
            reason, what_failed = discarded_for, "the last connection was not fit for use"
        if reason is None:
            raise PoolTimeout(message) from None
        said = str(reason).strip() or type(reason).__name__
        # Without the traceback, whose frames hold connection strings.
        raise PoolTimeout(f"{message}; {what_failed}: {said}") from reason.with_traceback(None)


class SyncConnectionFactory(ConnectionFactory, ABC):
    """What the synchronous drivers have in common."""

    def connect(self, _conninfo: str = "", *, connect_timeout: int | None = None) -> Any:
        """Return a new connection, configured; psycopg_pool passes an empty connection string."""
        configure = self.config.pool.callback("configure", asynchronous=False)
        with self._attempt():
            try:
                connection = self._open(connect_timeout)
            except BaseException as error:  # noqa: BLE001 - it is raised again
                # Without the traceback, whose frames hold the connection string: Sentry sends locals.
                raise error.with_traceback(None) from error.__cause__
            if configure is not None:
                try:
                    configure(connection)
                    _require_idle(connection)
                except BaseException:
                    connection.close()
                    raise
        self.mark_new(connection)
        return connection

    def _open(self, connect_timeout: int | None) -> Any:
        conninfo = self._conninfo(connect_timeout)
        with libpq.pinned_environment(conninfo, self.config.spec.session):
            return self.open_connection(conninfo)

    @abstractmethod
    def open_connection(self, conninfo: str) -> Any:
        """Return a new connection to what a connection string says."""

    def check_alive(self, connection: Any, within: float = PING_TIMEOUT) -> None:
        """Make a round trip, and raise the driver's error where there is no answer within so many seconds."""
        with shutdown_after(within, self.fileno(connection), self.errors):
            self.ping(connection)
        self._require_silence(connection)

    @abstractmethod
    def ping(self, connection: Any) -> None:
        """Make a round trip."""


class Notification(Protocol):
    """What psycopg and psycopg2 call a ``Notify``."""

    @property
    def channel(self) -> str:
        """Where it was sent to."""

    @property
    def payload(self) -> str:
        """What it says."""


class AsyncConnectionFactory(ConnectionFactory, ABC):
    """What the asynchronous drivers have in common."""

    async def connect(
        self, _conninfo: str = "", *, connect_timeout: int | None = None, autocommit: bool = True
    ) -> Any:
        """Return a new connection, configured and in autocommit mode.

        psycopg_pool passes an empty connection string; procrastinate asks for autocommit, where a connector
        listens that was lent a pool of ours.
        """
        assert autocommit
        configure: Any = self.config.pool.callback("configure", asynchronous=True)
        with self._attempt():
            try:
                connection = await self._open(connect_timeout)
            except BaseException as error:  # noqa: BLE001 - as above
                raise error.with_traceback(None) from error.__cause__
            if configure is not None:
                try:
                    await configure(connection)
                    _require_idle(connection)
                except BaseException:
                    await connection.close()
                    raise
        self.mark_new(connection)
        return connection

    async def _open(self, connect_timeout: int | None) -> Any:
        if self.config.password is None:
            conninfo = self._conninfo(connect_timeout)
        else:  # it may read a file or run a command
            conninfo = await asyncio.to_thread(self._conninfo, connect_timeout)
        with libpq.pinned_environment(conninfo, self.config.spec.session):
            return await self.open_connection(conninfo)

    @abstractmethod
    async def open_connection(self, conninfo: str) -> Any:
        """Return a new connection to what a connection string says."""

    async def check_alive(self, connection: Any, within: float = PING_TIMEOUT) -> None:
        """Make a round trip, and raise the driver's error where there is no answer within so many seconds."""
        with shutdown_after_async(within, self.fileno(connection), self.errors):
            await self.ping(connection)
        self._require_silence(connection)

    @abstractmethod
    async def ping(self, connection: Any) -> None:
        """Make a round trip."""

    @abstractmethod
    async def execute(self, connection: Any, statement: str) -> None:
        """Execute a statement that has no arguments."""

    @abstractmethod
    def notifications(self, connection: Any, seconds: float) -> AsyncGenerator[Notification]:
        """Yield what the server notifies, for so many seconds or until it has been silent for as long."""


def _require_idle(connection: Any) -> None:
    status = TransactionStatus(connection.pgconn.transaction_status)
    if status != TransactionStatus.IDLE:
        raise psycopg.ProgrammingError(f"configure left the connection in status {status.name}")
