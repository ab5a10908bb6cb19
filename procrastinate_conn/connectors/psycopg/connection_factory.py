"""Making psycopg's connections."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from operator import attrgetter
from typing import Any, ClassVar

import psycopg
from psycopg.errors import Diagnostic
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    ConnectionFactory,
    SyncConnectionFactory,
)


class _SharedConnectionFactory(ConnectionFactory):
    default_class: ClassVar[Any]
    environment = os.environ
    # ConnStatus.OK is 0. psycopg's own `closed` is the same, and takes more than twice the time.
    is_closed = attrgetter("pgconn.status")

    def open_connection(self, parameters: dict[str, Any]) -> Any:
        pool = self.config.pool
        given_class: Any = pool.callback("connection_class", asynchronous=self.asynchronous)
        return (given_class or self.default_class).connect(
            "", **parameters, autocommit=True, prepare_threshold=pool.prepare_threshold
        )

    def adopt(self, connection: Any) -> None:
        liveness = connection.liveness = Liveness()

        def note_termination(notice: Diagnostic) -> None:
            if notice.severity_nonlocalized in ("FATAL", "PANIC"):
                liveness.is_terminated = True

        connection.add_notice_handler(note_termination)

    def discard(self, connection: Any) -> None:
        """Close a connection for good: with `close_returns`, `close` returns it to the pool."""
        connection.pgconn.finish()


class SyncPsycopgConnectionFactory(_SharedConnectionFactory, SyncConnectionFactory):
    """Makes psycopg's synchronous connections."""

    default_class = psycopg.Connection

    def ping(self, connection: Any) -> None:
        ConnectionPool.check_connection(connection)


class PsycopgConnectionFactory(_SharedConnectionFactory, AsyncConnectionFactory):
    """Makes psycopg's asynchronous connections."""

    default_class = psycopg.AsyncConnection

    async def ping(self, connection: Any) -> None:
        await AsyncConnectionPool.check_connection(connection)

    async def execute(self, connection: Any, statement: str) -> None:
        await connection.execute(statement)

    def server_encoding(self, connection: Any) -> str | None:
        encoding: str | None = connection.info.parameter_status("server_encoding")
        return encoding

    def notifications(self, connection: Any, seconds: float) -> AsyncGenerator[psycopg.Notify]:
        notifications: AsyncGenerator[psycopg.Notify] = connection.notifies(timeout=seconds)
        return notifications
