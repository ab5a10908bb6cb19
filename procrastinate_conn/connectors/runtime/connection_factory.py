"""Making a pool's connections, as the config says; pinging and discarding them."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn

import psycopg
from procrastinate.exceptions import ConnectorException
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from procrastinate_conn import drivers, libpq
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime.acquire import PING_TIMEOUT
from procrastinate_conn.connectors.runtime.connect_errors import is_password_rejected, is_permanent
from procrastinate_conn.connectors.runtime.liveness import SocketWatchdog, call_in_thread, readability
from procrastinate_conn.connectors.runtime.steps import Steps, run, run_async


class ConnectionFactory(ABC):
    """Makes the connections of one pool.

    It is a pool's ``connection_class``, of which psycopg_pool needs nothing but ``connect``. So the
    connection string, with its secrets, is built for each connection and is kept nowhere else.
    """

    asynchronous: ClassVar[bool]
    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error,)  # of the driver, and of the pool

    def __init__(self, config: ConnectorConfig) -> None:
        self.config = config
        self.check_after = config.pool.check_after
        self.last_error: Exception | None = None
        self.pending_attempts: set[object] = set()
        self.last_loss = -math.inf
        self.on_connected: Callable[[], Callable[[], None] | None] = lambda: None

    def fileno(self, connection: Any) -> int:
        """Return the descriptor of a connection's socket."""
        descriptor: int = connection.fileno()
        return descriptor

    def should_ping(self, connection: Any) -> bool:
        """Tell whether only a round trip can tell that a connection is alive."""
        # A closed connection's descriptor may be another's by now, and silent.
        should_ping: bool = connection.closed or connection.liveness.should_ping(self.check_after)
        return should_ping

    def discard(self, connection: Any) -> Any:
        """Close a connection for good; the result of an asynchronous driver is to be awaited."""
        return connection.close()

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """Keep the error of an attempt to connect."""
        attempt = object()
        self.pending_attempts.add(attempt)
        try:
            yield
        except Exception as error:
            message = self.config.spec.redact(str(error))
            if message == str(error):
                self.last_error = error
                raise
            self.last_error = psycopg.OperationalError(message)
            raise self.last_error from None
        finally:
            self.pending_attempts.remove(attempt)
        self.last_error = None

    def _conninfo(self, connect_timeout: int | None) -> str:
        """Return the connection string for one connection, with the shorter `connect_timeout`."""
        spec = self.config.spec
        try:
            overrides = self.config.credentials()
        except Exception as error:  # noqa: BLE001 - whatever the source raises
            # Without the traceback, whose frames hold the last password.
            message = f"the source of the password failed: {error}"
            raise psycopg.OperationalError(message) from error.with_traceback(None)
        limits = [libpq.integer(spec.parameters.get("connect_timeout", "")) or 0, connect_timeout or 0]
        if shortest := min((limit for limit in limits if limit > 0), default=0):
            overrides["connect_timeout"] = str(shortest)
        # Of a keyword that is set twice, libpq uses the last one.
        return f"{spec.conninfo(drivers.keywords(self.config.kind))} {libpq.conninfo(overrides)}"

    def raise_timeout(self, message: str, rejection: Exception | None = None) -> NoReturn:
        """Raise the error of a caller who got no connection in time, with the reason.

        Its cause is the error of the last attempt to connect, or else why the last connection was discarded.
        """
        reason = self.last_error or rejection
        if self.last_error is None and self.pending_attempts:
            reason = None
            servers = " or ".join(str(host) for host in hosts(self.config.spec.redacted()))
            message = f"{message}; there is no answer yet from {servers}"
        elif reason is not None:
            subject = "attempt to connect failed" if self.last_error else "connection was not fit for use"
            message = f"{message}; the last {subject}: {str(reason).strip() or type(reason).__name__}"
        # Without the traceback, whose frames hold connection strings.
        raise PoolTimeout(message) from (reason and reason.with_traceback(None))

    def permanent_error(self) -> Exception | None:
        """Return the error of the last attempt to connect, if another attempt would end in the same."""
        error = self.last_error
        return error if error is not None and is_permanent(str(error)) else None

    def raise_permanent_error(self) -> None:
        """Raise that error, if there is one."""
        if (error := self.permanent_error()) is not None:
            raise ConnectorException(f"the pool cannot be opened: {error}") from error.with_traceback(None)

    @abstractmethod
    def run(self, steps: Steps) -> Any:
        """Run steps, in an asynchronous driver's factory as a coroutine."""

    @abstractmethod
    def open_connection(self, conninfo: str) -> Any:
        """Return a new connection in autocommit mode.

        Parameters
        ----------
        conninfo
            Keywords and values as libpq takes them, complete: nothing is to be read from elsewhere.

        Returns
        -------
        object
            The driver's connection. The pool needs of it: `liveness`, a new `Liveness`; `closed`;
            `pgconn.transaction_status`, as `psycopg.pq.TransactionStatus`; and the methods `close` and
            `rollback`. For LISTEN it is an asynchronous context manager that closes.

        Raises
        ------
        Exception
            One of `errors`, with libpq's message as far as possible: by its text it is known whether another
            attempt may succeed.
        """

    @abstractmethod
    def ping(self, connection: Any) -> Any:
        """Make a round trip, or raise one of `errors`."""

    def connect(
        self, _conninfo: str = "", *, connect_timeout: int | None = None, autocommit: bool = True
    ) -> Any:
        """Return a new connection, configured and in autocommit mode.

        psycopg_pool passes an empty connection string; procrastinate asks for autocommit if a connector that
        has one of our pools for the caller's listens.
        """
        assert autocommit
        return self.run(self._connect(connect_timeout))

    def _connect(self, connect_timeout: int | None) -> Steps:
        configure: Any = self.config.pool.callback("configure", asynchronous=self.asynchronous)
        with self._attempt():
            try:
                connection = yield from self._open_with_password(connect_timeout)
            except BaseException as error:  # noqa: BLE001 - it is raised again
                # Without the traceback, whose frames hold the connection string: Sentry sends locals.
                raise error.with_traceback(None) from error.__cause__
            if configure is not None:
                try:
                    yield configure(connection)
                    _require_idle(connection)
                except BaseException:
                    yield connection.close()
                    raise
        connection.liveness.is_readable = readability(self.fileno(connection))
        connection.liveness.mark_new(self.last_loss)
        if (on_connected := self.on_connected()) is not None:
            on_connected()
        return connection

    def _open_with_password(self, connect_timeout: int | None) -> Steps:
        """Open a connection; if its password is rejected and has a source, with what that returns now."""
        try:
            return (yield from self._open(connect_timeout))
        except self.errors as error:
            if self.config.password is None or not is_password_rejected(str(error)):
                raise
        from procrastinate_conn import passwords  # not above: most passwords are constant

        passwords.forget(self.config.password)
        return (yield from self._open(connect_timeout))

    def _open(self, connect_timeout: int | None) -> Steps:
        if self.asynchronous and self.config.password is not None:  # it may read a file or run a command
            conninfo = yield asyncio.to_thread(self._conninfo, connect_timeout)
        else:
            conninfo = self._conninfo(connect_timeout)
        with libpq.pinned_environment(conninfo, self.config.spec.session):
            return (yield self.open_connection(conninfo))

    def check_alive(self, connection: Any, timeout: float = PING_TIMEOUT) -> Any:
        """Ping a connection, and raise one of `errors` unless it answers within so many seconds."""
        return self.run(self._check_alive(connection, timeout))

    def _check_alive(self, connection: Any, timeout: float) -> Steps:
        if not connection.liveness.is_terminated:
            with self.response_within(timeout, connection):
                yield self.ping(connection)
        if connection.liveness.is_terminated:
            raise psycopg.OperationalError("the session is ending, or the server has rejected its queries")

    def response_within(self, seconds: float, connection: Any) -> SocketWatchdog:
        """Limit the time that the server has to answer in a context."""
        call_later = asyncio.get_running_loop().call_later if self.asynchronous else call_in_thread
        return SocketWatchdog(seconds, self.fileno(connection), self.errors, call_later)


def _require_idle(connection: Any) -> None:
    status = TransactionStatus(connection.pgconn.transaction_status)
    if status != TransactionStatus.IDLE:
        raise psycopg.ProgrammingError(f"configure left the connection in status {status.name}")


class SyncConnectionFactory(ConnectionFactory):
    """Makes the connections of a synchronous driver."""

    asynchronous = False

    def run(self, steps: Steps) -> Any:
        return run(steps)


class AsyncConnectionFactory(ConnectionFactory):
    """Makes the connections of an asynchronous driver."""

    asynchronous = True

    def run(self, steps: Steps) -> Any:
        return run_async(steps)

    @abstractmethod
    def abort(self, connection: Any) -> None:
        """Close a connection at once, also if its event loop was closed."""

    @abstractmethod
    async def execute(self, connection: Any, statement: str) -> None:
        """Execute a statement that has no arguments."""

    @abstractmethod
    def notifications(self, connection: Any, seconds: float) -> AsyncGenerator[Any]:
        """Yield notifications, for so many seconds or until there has been none for as long."""
