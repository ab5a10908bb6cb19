"""Making psycopg's connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import psycopg
from psycopg.errors import Diagnostic
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    ConnectionFactory,
    SyncConnectionFactory,
)
from procrastinate_conn.connectors.runtime.steps import Steps


class _SharedConnectionFactory(ConnectionFactory):
    default_class: ClassVar[Any]

    def open_connection(self, conninfo: str) -> Any:
        return self.run(self._open_connection(conninfo))

    def _open_connection(self, conninfo: str) -> Steps:
        """Return a connection in autocommit mode.

        procrastinate's queries are single statements, each of them a transaction by itself: BEGIN and
        COMMIT would be two round trips for nothing.
        """
        pool = self.config.pool
        given_class: Any = pool.callback("connection_class", asynchronous=self.asynchronous)
        try:
            connection = yield (given_class or self.default_class).connect(
                conninfo, autocommit=True, prepare_threshold=pool.prepare_threshold
            )
        except psycopg.OperationalError as error:
            message = str(error)
            if self.asynchronous:  # it may resolve host names
                message = yield asyncio.to_thread(name_every_host, message, conninfo)
            else:
                message = name_every_host(message, conninfo)
            error.args = (message,)
            raise
        watch_notices(connection)
        return connection


class SyncPsycopgConnectionFactory(_SharedConnectionFactory, SyncConnectionFactory):
    """Makes psycopg's synchronous connections."""

    default_class = psycopg.Connection

    def discard(self, connection: Any) -> None:
        """Close a connection for good: with `close_returns`, `close` returns it to the pool."""
        connection.pgconn.finish()

    def ping(self, connection: Any) -> None:
        ConnectionPool.check_connection(connection)


class PsycopgConnectionFactory(_SharedConnectionFactory, AsyncConnectionFactory):
    """Makes psycopg's asynchronous connections."""

    default_class = psycopg.AsyncConnection

    async def discard(self, connection: Any) -> None:
        """Close a connection for good: with `close_returns`, `close` returns it to the pool."""
        connection.pgconn.finish()

    def abort(self, connection: Any) -> None:
        connection.pgconn.finish()

    async def ping(self, connection: Any) -> None:
        await AsyncConnectionPool.check_connection(connection)

    async def execute(self, connection: Any, statement: str) -> None:
        await connection.execute(statement)

    def notifications(self, connection: Any, seconds: float) -> AsyncGenerator[psycopg.Notify]:
        notifications: AsyncGenerator[psycopg.Notify] = connection.notifies(timeout=seconds)
        return notifications


def watch_notices(connection: Any) -> None:
    """Give a connection a `Liveness` that ends with the notice of the server that ends its session."""
    liveness = connection.liveness = Liveness()

    def note_termination(notice: Diagnostic) -> None:
        if notice.severity_nonlocalized in ("FATAL", "PANIC"):
            liveness.is_terminated = True

    connection.add_notice_handler(note_termination)
