"""Making a pool's connections, as the config says; pinging and discarding them."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from time import monotonic
from typing import Any, ClassVar, NoReturn

import psycopg
from procrastinate.exceptions import ConnectorException
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from procrastinate_conn import drivers, libpq
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime import connect_errors
from procrastinate_conn.connectors.runtime.acquire import PING_TIMEOUT, RECONNECT_PAUSE
from procrastinate_conn.connectors.runtime.liveness import call_in_thread, readability, shutdown_after
from procrastinate_conn.connectors.runtime.steps import Steps, run, run_async


class ConnectionFactory(ABC):
    """Makes the connections of one pool.

    It is a pool's ``connection_class``, of which psycopg_pool needs nothing but ``connect``. So the
    parameters, with their secrets, are collected for each connection and are kept nowhere else. The drivers
    get them as keywords, in which agents look for the server's address.
    """

    asynchronous: ClassVar[bool]
    run: ClassVar[Any]  # runs steps; if asynchronous, as a coroutine
    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error,)  # of the driver, and of the pool
    environment: ClassVar[Collection[str] | None] = None  # that libpq reads; None for a driver without libpq
    is_closed: ClassVar[attrgetter[Any]] = attrgetter("closed")  # read at every use of a connection

    def __init__(self, config: ConnectorConfig) -> None:
        self.config = config
        self.check_after = config.pool.check_after
        self.last_error: Exception | None = None
        self._last_attempt = -math.inf
        self.pending_attempts: set[object] = set()
        self.last_loss = -math.inf
        self.on_connected: Callable[[], Callable[[], None] | None] = lambda: None

    def fileno(self, connection: Any) -> int:
        """Return the descriptor of a connection's socket."""
        return int(connection.fileno())

    def should_ping(self, connection: Any) -> bool:
        """Tell whether only a round trip can tell that a connection is alive."""
        # If it is closed, its descriptor may be another's by now, and silent.
        return bool(self.is_closed(connection) or connection.liveness.should_ping(self.check_after))

    def discard(self, connection: Any) -> None:
        """Close a connection for good."""
        connection.close()

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """Keep the error of an attempt to connect.

        The callers of a null pool connect each for itself. While the server is away they get the last error,
        and one of them tries each second.
        """
        now = monotonic()
        is_soon = self.pending_attempts or now - self._last_attempt < RECONNECT_PAUSE
        if self.config.pool.null and self.last_error is not None and is_soon:
            raise psycopg.OperationalError(str(self.last_error))
        self._last_attempt = now
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

    def _parameters(self, connect_timeout: int | None) -> dict[str, str]:
        parameters = self.config.spec.keyword_values(drivers.keywords(self.config.kind), self.environment)
        try:
            parameters |= self.config.credentials()
        except Exception as error:  # noqa: BLE001 - whatever the source raises
            # Without the traceback, whose frames hold the last password.
            message = f"the source of the password failed: {error}"
            raise psycopg.OperationalError(message) from error.with_traceback(None)
        limits = [libpq.integer(parameters.get("connect_timeout", "")) or 0, connect_timeout or 0]
        if shortest := min((limit for limit in limits if limit > 0), default=0):
            parameters["connect_timeout"] = str(shortest)
        return parameters

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
        # Without the traceback, whose frames hold the parameters.
        raise PoolTimeout(message) from (reason and reason.with_traceback(None))

    def permanent_error(self) -> Exception | None:
        """Return the error of the last attempt to connect, if another attempt would end in the same."""
        error = self.last_error
        return error if error is not None and connect_errors.is_permanent(str(error)) else None

    def raise_permanent_error(self) -> None:
        if (error := self.permanent_error()) is not None:
            raise ConnectorException(f"the pool cannot be opened: {error}") from error.with_traceback(None)

    @abstractmethod
    def open_connection(self, parameters: dict[str, str]) -> Any:
        """Return a new connection in autocommit mode.

        procrastinate's queries are single statements, each of them a transaction by itself: BEGIN and COMMIT
        would be two round trips for nothing.

        Parameters
        ----------
        parameters
            libpq's keywords and values, complete: nothing is to be read from elsewhere. A driver on libpq
            sets `environment`; then those are left out that mean the same as none.

        Returns
        -------
        object
            The driver's connection. The pool needs of it, or of `adopt`: `liveness`, a new `Liveness`;
            `closed`; `pgconn.transaction_status`, as `psycopg.pq.TransactionStatus`; and the methods `close`
            and `rollback`. For LISTEN it is an asynchronous context manager that closes.

        Raises
        ------
        Exception
            One of `errors`, with libpq's message as far as possible: by its text it is known whether another
            attempt may succeed.
        """

    def adopt(self, connection: Any) -> None:  # noqa: B027 - it need not be overridden
        """Prepare a new connection, which an agent may have wrapped."""

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
                # Without the traceback, whose frames hold the parameters: Sentry sends locals.
                raise error.with_traceback(None) from error.__cause__
            if configure is not None:
                try:
                    yield configure(connection)
                    _require_idle(connection)
                except BaseException:
                    self.discard(connection)
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
            if self.config.password is None or not connect_errors.is_password_rejected(str(error)):
                raise
        from procrastinate_conn import passwords  # not above: most passwords are constant

        passwords.forget(self.config.password)
        return (yield from self._open(connect_timeout))

    def _open(self, connect_timeout: int | None) -> Steps:
        if self.config.password is None:
            parameters = self._parameters(connect_timeout)
        else:  # it may read a file or run a command
            parameters = yield self._in_thread(self._parameters, connect_timeout)
        try:
            with libpq.pinned_environment(parameters, self.config.spec.session):
                connection = yield self.open_connection(parameters)
        except psycopg.OperationalError as error:  # psycopg2's names every host
            error.args = ((yield self._in_thread(connect_errors.name_every_host, str(error), parameters)),)
            raise
        self.adopt(connection)
        return connection

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that may wait; for an asynchronous driver, return what is to be awaited."""
        return asyncio.to_thread(function, *arguments) if self.asynchronous else function(*arguments)

    def check_alive(self, connection: Any, timeout: float = PING_TIMEOUT) -> Any:
        """Ping a connection, and raise one of `errors` unless it answers within so many seconds."""
        return self.run(self._check_alive(connection, timeout))

    def _check_alive(self, connection: Any, timeout: float) -> Steps:
        if not connection.liveness.is_terminated:
            with self.response_within(timeout, connection):
                yield self.ping(connection)
        if connection.liveness.is_terminated:
            raise psycopg.OperationalError("the session is ending, or the server has rejected its queries")

    def response_within(self, seconds: float, connection: Any) -> AbstractContextManager[None]:
        """Limit the time that the server has to answer in a context."""
        call_later = asyncio.get_running_loop().call_later if self.asynchronous else call_in_thread
        return shutdown_after(seconds, self.fileno(connection), self.errors, call_later)


def _require_idle(connection: Any) -> None:
    status = TransactionStatus(connection.pgconn.transaction_status)
    if status != TransactionStatus.IDLE:
        raise psycopg.ProgrammingError(f"configure left the connection in status {status.name}")


class SyncConnectionFactory(ConnectionFactory):
    """Makes the connections of a synchronous driver."""

    asynchronous = False
    run = staticmethod(run)


class AsyncConnectionFactory(ConnectionFactory):
    """Makes the connections of an asynchronous driver."""

    asynchronous = True
    run = staticmethod(run_async)

    @abstractmethod
    def discard(self, connection: Any) -> None:
        """Close a connection for good and at once, also if its event loop was closed."""

    @abstractmethod
    async def execute(self, connection: Any, statement: str) -> None:
        """Execute a statement that has no arguments."""

    def server_encoding(self, _connection: Any) -> str | None:
        """Return the encoding of the database, as the server has reported it; None if that is not known."""
        return None

    @abstractmethod
    def notifications(self, connection: Any, seconds: float) -> AsyncGenerator[Any]:
        """Yield notifications, for so many seconds or until there has been none for as long."""
