"""Making asyncpg's connections, from libpq's keywords alone: it reads no variable and no file itself."""

from __future__ import annotations

import asyncio
import codecs
import json
import locale
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import asyncpg
import psycopg
from psycopg import Notify
from psycopg.pq import TransactionStatus

from procrastinate_conn import libpq
from procrastinate_conn.connection.hosts import Host
from procrastinate_conn.connectors.asyncpg.tls import encryption_methods, tls_context
from procrastinate_conn.connectors.runtime.acquire import PING_TIMEOUT, Liveness
from procrastinate_conn.connectors.runtime.attempts import Attempt, open_first
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.sources.password_file import find_password

ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises: its errors have no common base, and those of a socket are the system's."""

_SESSION_SETTINGS = {"PGDATESTYLE": "datestyle", "PGGEQO": "geqo", "PGTZ": "timezone"}
"""libpq's variables for the session, and the settings that it sends for them."""

_SOCKET_OPTIONS = {
    "keepalives_idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),  # the second is that of macOS
    "keepalives_interval": ("TCP_KEEPINTVL",),
    "keepalives_count": ("TCP_KEEPCNT",),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT",),
}


class AsyncpgConnection(asyncpg.Connection):
    """A connection of asyncpg's with what psycopg_pool uses of psycopg's."""

    liveness: Liveness
    is_cancelled = False  # while a query was executed

    def __init__(self, protocol: Any, transport: asyncio.Transport, *arguments: Any) -> None:
        super().__init__(protocol, transport, *arguments)
        self.liveness = Liveness()
        self.socket = transport.get_extra_info("socket")
        self.inbox: asyncio.Queue[Notify | None] = asyncio.Queue()
        self._queries = protocol
        self.add_termination_listener(_end_inbox)

    @property
    def queries_sent(self) -> int:
        """The number of queries that were sent to be executed."""
        sent: int = self._queries.queries_count
        return sent

    @property
    def closed(self) -> bool:
        return bool(self.is_closed())

    @property
    def pgconn(self) -> Self:
        """The object with a `transaction_status`."""
        return self

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


def _end_inbox(connection: Any) -> None:
    connection.inbox.put_nowait(None)


class AsyncpgConnectionFactory(AsyncConnectionFactory):
    """Makes asyncpg's connections."""

    kind = ConnectorKind.ASYNCPG
    errors = (*ERRORS, psycopg.Error)

    def fileno(self, connection: AsyncpgConnection) -> int:
        descriptor: int = connection.socket.fileno()
        return descriptor

    def abort(self, connection: AsyncpgConnection) -> None:
        with suppress(RuntimeError):  # its event loop was closed
            connection.terminate()

    async def discard(self, connection: AsyncpgConnection) -> None:
        connection.terminate()

    async def open_connection(self, conninfo: str) -> AsyncpgConnection:
        return await open_first(conninfo, self._open_one, self.errors)

    async def _open_one(self, attempt: Attempt) -> AsyncpgConnection:
        """Return a connection to one address, with TLS or without, as `sslmode` has it."""
        password = self._password(attempt)
        errors: list[str] = []
        for encrypted in encryption_methods(attempt):
            try:
                context = tls_context(attempt) if encrypted else None
                connection = await self._open_over(context, attempt, password)
            except self.errors as error:
                errors.append(_message(error, has_password=password is not None))
                if not _may_be_retried(error, encrypted=encrypted):
                    break
            else:
                _set_socket_options(connection.socket, attempt)
                for name in ("json", "jsonb"):
                    await connection.set_type_codec(
                        name,
                        schema="pg_catalog",
                        encoder=self.config.json_dumps or json.dumps,
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
            server_settings=self._server_settings(attempt),
            statement_cache_size=0 if self.config.pool.prepare_threshold is None else 100,
            connection_class=AsyncpgConnection,
        )

    def _password(self, attempt: Attempt) -> str | None:
        if attempt.get("password"):
            return str(attempt["password"])
        if not attempt.get("passfile"):
            return None
        host = Host(attempt.get("host") or "", attempt.get("hostaddr") or "", attempt["port"])
        user = attempt["user"]
        login = (host.passfile_name, host.port, attempt.get("dbname") or user, user)
        return find_password(Path(attempt["passfile"]), login)

    def _server_settings(self, attempt: Attempt) -> dict[str, str]:
        settings = {
            "application_name": attempt.get("application_name") or attempt.get("fallback_application_name"),
            "options": attempt.get("options"),
            "client_encoding": _encoding(attempt.get("client_encoding") or ""),
        }
        for variable, value in self.config.spec.session.items():
            if value.lower() != "default":  # which libpq does not send
                settings[_SESSION_SETTINGS[variable]] = value
        return {name: value for name, value in settings.items() if value}

    async def ping(self, connection: AsyncpgConnection) -> None:
        await self.execute(connection, "SELECT 1")

    async def execute(self, connection: AsyncpgConnection, statement: str) -> None:
        await connection.execute(statement)

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


def _message(error: Exception, *, has_password: bool) -> str:
    """Return the message of an error of connecting as libpq writes it."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno)
    if not isinstance(error, asyncpg.PostgresError):
        return str(error).strip() or type(error).__name__
    severity = getattr(error, "severity", None)
    message = f"{severity}:  {error}" if severity else str(error)
    if isinstance(error, asyncpg.InvalidPasswordError) and not has_password:
        return f"{message}; no password supplied"
    return message


def _encoding(name: str) -> str:
    """Return the encoding that libpq asks for; ``auto`` is that of the locale."""
    if name != "auto":
        return name
    found = codecs.lookup(locale.getencoding()).name
    return "SQL_ASCII" if found == "ascii" else found


def _set_socket_options(connected: Any, parameters: Mapping[str, Any]) -> None:
    """Set keepalives and `tcp_user_timeout`, as far as the system knows them; 0 leaves its own default."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    has_keepalives = parameters.get("keepalives") != "0"
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, has_keepalives)
    for keyword, names in _SOCKET_OPTIONS.items():
        value = libpq.integer(parameters.get(keyword) or "") or 0
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if value > 0 and option is not None and (has_keepalives or keyword == "tcp_user_timeout"):
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
