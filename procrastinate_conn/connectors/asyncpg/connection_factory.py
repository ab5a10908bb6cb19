"""Making asyncpg's connections, from libpq's keywords alone: it reads no variable and no file itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Self

import asyncpg
import psycopg
from psycopg import Notify
from psycopg.pq import TransactionStatus

from procrastinate_conn import libpq
from procrastinate_conn.connectors.asyncpg.tls import encryption_methods, tls_context
from procrastinate_conn.connectors.runtime import attempts
from procrastinate_conn.connectors.runtime.acquire import PING_TIMEOUT, Liveness
from procrastinate_conn.connectors.runtime.attempts import Attempt
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory

ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises: its errors have no common base, and those of a socket are the system's."""


class AsyncpgConnection(asyncpg.Connection):
    """A connection of asyncpg's with what psycopg_pool uses of psycopg's."""

    liveness: Liveness
    is_cancelled = False  # while a query was executed

    def __init__(self, protocol: Any, transport: asyncio.Transport, *arguments: Any) -> None:
        super().__init__(protocol, transport, *arguments)
        self.liveness = Liveness()
        self.socket = transport.get_extra_info("socket")
        self.inbox: asyncio.Queue[Notify | None] = asyncio.Queue()
        self.protocol = protocol  # which counts the queries that were sent to be executed
        self.add_termination_listener(lambda connection: connection.inbox.put_nowait(None))

    closed = property(asyncpg.Connection.is_closed)
    pgconn = property(lambda self: self)  # the object with a `transaction_status`

    @property
    def transaction_status(self) -> TransactionStatus:
        if self.is_closed():
            return TransactionStatus.UNKNOWN
        if self.is_cancelled:
            return TransactionStatus.ACTIVE
        return TransactionStatus.INTRANS if self.is_in_transaction() else TransactionStatus.IDLE

    async def rollback(self) -> None:
        """Roll back, whatever has begun the transaction."""
        await self.execute("ROLLBACK")

    async def close(self, *, timeout: float | None = PING_TIMEOUT) -> None:  # noqa: ASYNC109 - asyncpg's
        """Close the connection at once, as libpq does; first a cancelled query is cancelled at the server."""
        if self.is_cancelled:
            with suppress(TimeoutError, *ERRORS):
                await super().close(timeout=timeout)
        self.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.terminate()

    def _process_notification(self, pid: int, channel: str, payload: str) -> None:
        """Take a notification from the protocol.

        The one private method of asyncpg's that is overridden in this package: its listeners miss what comes
        together with the result of LISTEN.
        """
        self.inbox.put_nowait(Notify(channel, payload, pid))
        super()._process_notification(pid, channel, payload)  # type: ignore[misc]  # private


class AsyncpgConnectionFactory(AsyncConnectionFactory):
    """Makes asyncpg's connections."""

    errors = (*ERRORS, psycopg.Error)

    def fileno(self, connection: AsyncpgConnection) -> int:
        return int(connection.socket.fileno())

    def discard(self, connection: AsyncpgConnection) -> None:
        with suppress(RuntimeError):  # its event loop was closed
            connection.terminate()

    async def open_connection(self, parameters: dict[str, str]) -> AsyncpgConnection:
        return await attempts.open_first(parameters, self._open_one, self.errors)

    async def _open_one(self, attempt: Attempt) -> AsyncpgConnection:
        """Return a connection to one address."""
        password = attempts.find_password(attempt)
        errors: list[str] = []
        for encrypted in encryption_methods(attempt):
            try:
                context = tls_context(attempt) if encrypted else None
                connection = await self._open_over(context, attempt, password)
            except self.errors as error:
                errors.append(_message(error, password))
                if not _may_be_retried(error, encrypted=encrypted):
                    break
            else:
                attempts.set_socket_options(connection.socket, attempt)
                for name in ("json", "jsonb"):
                    await connection.set_type_codec(
                        name,
                        schema="pg_catalog",
                        encoder=self.config.write_json,
                        decoder=self.config.json_loads or json.loads,
                    )
                return connection
        raise psycopg.OperationalError("\n".join(dict.fromkeys(errors)))

    async def _open_over(
        self, context: ssl.SSLContext | None, attempt: Attempt, password: str | None
    ) -> AsyncpgConnection:
        user = attempt["user"]
        arguments: dict[str, Any] = {  # without one of them, asyncpg would look for it elsewhere
            "host": [attempt.get("hostaddr") or attempt["host"]],
            "port": [libpq.integer(attempt["port"])],
            "user": user,
            "database": attempt.get("dbname") or user,
            "password": lambda: password,
            "ssl": context or False,
            "direct_tls": context is not None and attempt.get("sslnegotiation") == "direct",
            "target_session_attrs": attempt.get("target_session_attrs") or "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
            "timeout": None,  # each attempt has one already
        }
        return await asyncpg.connect(
            **arguments,
            server_settings=attempts.server_settings(attempt, self.config.spec),
            statement_cache_size=0 if self.config.pool.prepare_threshold is None else 100,
            connection_class=AsyncpgConnection,
        )

    async def ping(self, connection: AsyncpgConnection) -> None:
        await self.execute(connection, "SELECT 1")

    async def execute(self, connection: AsyncpgConnection, statement: str) -> None:
        await connection.execute(statement)

    def server_encoding(self, connection: AsyncpgConnection) -> str | None:
        return str(connection.get_settings().server_encoding)

    async def notifications(self, connection: AsyncpgConnection, seconds: float) -> AsyncGenerator[Notify]:
        """Yield notifications, until there has been none for so many seconds."""
        while True:
            try:
                async with asyncio.timeout(seconds):
                    notification = await connection.inbox.get()
            except TimeoutError:
                return
            if notification is None:
                raise asyncpg.InterfaceError("the connection that listens was closed")
            yield notification


def _may_be_retried(error: Exception, *, encrypted: bool) -> bool:
    """Tell whether libpq tries the other of TLS and no TLS: if the server said no, or TLS did not begin."""
    if isinstance(error, asyncpg.PostgresError):
        return not isinstance(error, asyncpg.ConnectionDoesNotExistError)
    return encrypted and not isinstance(error, ConnectionRefusedError)


def _message(error: Exception, password: str | None) -> str:
    """Return the message of an error of connecting as libpq writes it."""
    if not isinstance(error, asyncpg.PostgresError):
        return attempts.describe(error)
    severity = getattr(error, "severity", None)
    message = f"{severity}:  {error} (SQLSTATE {error.sqlstate})" if severity else str(error)
    no_password = isinstance(error, asyncpg.InvalidPasswordError) and password is None
    return f"{message}; no password supplied" if no_password else message
