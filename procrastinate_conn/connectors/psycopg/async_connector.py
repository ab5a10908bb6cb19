"""The kind ``psycopg``: psycopg 3, asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, LiteralString, TypeVar

import procrastinate
import psycopg
from procrastinate import connector
from procrastinate.exceptions import NoResult
from procrastinate.sync_psycopg_connector import wrap_exceptions
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from procrastinate_conn.connectors.base import AsyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg.sync_connector import Json, SyncPsycopgConnector
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory
from procrastinate_conn.connectors.runtime.disconnects import (
    classify_disconnect,
    is_extended,
    listen_for_farewell,
    retry_if_safe_async,
)
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.listener import listen
from procrastinate_conn.connectors.runtime.loop_bridge import on_owner_loop
from procrastinate_conn.connectors.runtime.pools import AsyncPool
from procrastinate_conn.connectors.runtime.retry import retry_idempotent
from procrastinate_conn.registry import ConnectorKind

T = TypeVar("T")


class PsycopgConnectionFactory(AsyncConnectionFactory):
    """Dials psycopg's connections."""

    kind = ConnectorKind.PSYCOPG

    async def open_connection(self, conninfo: str) -> psycopg.AsyncConnection[Any]:
        """Return a connection in autocommit mode, since procrastinate's queries are single statements."""
        connection_class: Any = (
            self.config.pool.callback("connection_class", asynchronous=True) or psycopg.AsyncConnection
        )
        try:
            connection: psycopg.AsyncConnection[Any] = await connection_class.connect(
                conninfo, autocommit=True, prepare_threshold=self.config.pool.prepare_threshold
            )
        except psycopg.OperationalError as error:
            error.args = (await asyncio.to_thread(name_every_host, str(error), conninfo),)
            raise
        listen_for_farewell(connection, self.terminated)
        return connection

    async def drop(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Close a connection, and not as `close` does, which with `close_returns` gives it back."""
        connection.pgconn.finish()

    async def ping(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Make a round trip."""
        await AsyncConnectionPool.check_connection(connection)

    async def execute(self, connection: psycopg.AsyncConnection[Any], statement: str) -> None:
        """Execute a statement that has no arguments."""
        await connection.execute(statement.encode())  # its type allows no text but literals

    def notifications(
        self, connection: psycopg.AsyncConnection[Any], seconds: float
    ) -> AsyncGenerator[psycopg.Notify]:
        """Yield what the server notifies, for so many seconds."""
        return connection.notifies(timeout=seconds)


class PsycopgConnector(AsyncConnector["AsyncConnectionPool[Any]"], procrastinate.PsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours.

    Parameters
    ----------
    config
        What it is built from.
    """

    pool_attribute = "_async_pool"

    def __init__(self, config: ConnectorConfig) -> None:
        self._json = Json(config)
        super().__init__(config, json_dumps=config.json_dumps, json_loads=config.json_loads)

    @property
    def pool(self) -> AsyncConnectionPool[Any]:
        """The pool."""
        return self.require_pool()

    def make_sync_connector(self) -> SyncPsycopgConnector:
        """Return the connector for synchronous use before this one is open."""
        return SyncPsycopgConnector(self.config)

    def make_connection_factory(self) -> PsycopgConnectionFactory:
        """Return what dials connections."""
        return PsycopgConnectionFactory(self.config)

    def adapt_pool(self, pool: AsyncPool) -> AsyncConnectionPool[Any]:
        """Return the pool as it is: it is psycopg's already."""
        return pool

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """Execute a query."""
        await self._execute(query, arguments, _nothing)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        row = await self._execute(query, arguments, lambda cursor: cursor.fetchone())
        if row is None:
            raise NoResult
        return row

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        return await self._execute(query, arguments, lambda cursor: cursor.fetchall())

    @on_owner_loop
    @retry_idempotent
    @retry_if_safe_async
    async def _execute(
        self,
        query: LiteralString,
        arguments: dict[str, Any],
        result: Callable[[psycopg.AsyncCursor[DictRow]], Awaitable[T]],
    ) -> T:
        with wrap_exceptions():
            async with (
                self.pool.connection() as connection,  # which commits, and sends nothing in autocommit mode
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                self._json.adapt(cursor)
                with classify_disconnect(
                    connection.info, query, cursor, extended=is_extended(cursor, arguments)
                ):
                    await cursor.execute(query, wrap_json(arguments, Jsonb))
                return await result(cursor)

    async def listen_notify(self, on_notification: connector.Notify, channels: Iterable[str]) -> None:
        """Listen on a connection besides the pool, through any outage, until cancelled.

        Parameters
        ----------
        on_notification
            Called for each notification.
        channels
            The channels to listen on.
        """
        await listen(self, super().listen_notify, on_notification, channels)


async def _nothing(_: object) -> None:
    """Fetch nothing."""
