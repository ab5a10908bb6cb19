"""The kind ``psycopg``: psycopg 3, asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import procrastinate
import psycopg
from procrastinate.exceptions import NoResult
from procrastinate.sync_psycopg_connector import wrap_exceptions
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from procrastinate_conn.connectors.base import AsyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg.sync_connector import (
    JsonAdapter,
    SyncPsycopgConnector,
    watch_notices,
)
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory
from procrastinate_conn.connectors.runtime.disconnects import SentQuery
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.pools import AsyncPool
from procrastinate_conn.registry import ConnectorKind


class PsycopgConnectionFactory(AsyncConnectionFactory):
    """Makes psycopg's connections."""

    kind = ConnectorKind.PSYCOPG

    async def open_connection(self, conninfo: str) -> Any:
        """Return a connection in autocommit mode, since procrastinate's queries are single statements."""
        pool = self.config.pool
        connection_class: Any = (
            pool.callback("connection_class", asynchronous=True) or psycopg.AsyncConnection
        )
        try:
            connection = await connection_class.connect(
                conninfo, autocommit=True, prepare_threshold=pool.prepare_threshold
            )
        except psycopg.OperationalError as error:
            error.args = (await asyncio.to_thread(name_every_host, str(error), conninfo),)
            raise
        watch_notices(connection)
        return connection

    async def discard(self, connection: Any) -> None:
        """Close a connection for good: with `close_returns`, `close` returns it to the pool."""
        self.abort(connection)

    def abort(self, connection: Any) -> None:
        """Close a connection at once, also if its event loop was closed."""
        connection.pgconn.finish()

    async def ping(self, connection: Any) -> None:
        """Make a round trip."""
        await AsyncConnectionPool.check_connection(connection)

    async def execute(self, connection: Any, statement: str) -> None:
        """Execute a statement that has no arguments."""
        await connection.execute(statement)

    def notifications(self, connection: Any, seconds: float) -> AsyncGenerator[psycopg.Notify]:
        """Yield notifications, for so many seconds."""
        notifies: AsyncGenerator[psycopg.Notify] = connection.notifies(timeout=seconds)
        return notifies


class PsycopgConnector(AsyncConnector["AsyncConnectionPool[Any]"], procrastinate.PsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours."""

    pool_attribute = "_async_pool"

    def __init__(self, config: ConnectorConfig) -> None:
        self._json = JsonAdapter(config)
        super().__init__(config)

    @property
    def pool(self) -> AsyncConnectionPool[Any]:
        """The pool."""
        return self.require_pool()

    def make_sync_connector(self) -> SyncPsycopgConnector:
        """Return the connector for synchronous use before this one is open."""
        return SyncPsycopgConnector(self.config)

    def make_connection_factory(self) -> PsycopgConnectionFactory:
        """Return what makes the connections of a pool."""
        return PsycopgConnectionFactory(self.config)

    def adapt_pool(self, pool: AsyncPool) -> AsyncConnectionPool[Any]:
        """Return the pool as it is."""
        return pool

    @staticmethod
    async def fetch_one(cursor: psycopg.AsyncCursor[dict[str, Any]]) -> dict[str, Any]:
        """Return the first row."""
        row = await cursor.fetchone()
        if row is None:
            raise NoResult
        return row

    async def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        """Send a query once."""
        with wrap_exceptions():
            async with (
                self.require_pool().connection() as connection,  # commits; in autocommit mode sends nothing
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                self._json.adapt(cursor)
                with SentQuery(connection.info, query, cursor, arguments):
                    await cursor.execute(query, wrap_json(arguments, Jsonb))
                return await fetch(cursor) if fetch else None
