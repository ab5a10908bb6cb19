"""The kind ``asyncpg``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Any

import asyncpg
from procrastinate.connector import BaseAsyncConnector, Notify
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.asyncpg.connection_factory import AsyncpgConnectionFactory
from procrastinate_conn.connectors.base import AsyncConnector, RowLists, Rows, WithoutClass
from procrastinate_conn.connectors.compatibility import rejection
from procrastinate_conn.connectors.exceptions import connector_exception
from procrastinate_conn.connectors.psycopg.connector import SyncPsycopgConnector
from procrastinate_conn.connectors.queries import read_json, translate
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry, Shutdown, raise_lost
from procrastinate_conn.connectors.runtime.listener import listen, listen_on_asyncpg
from procrastinate_conn.connectors.runtime.retry import is_of_useless_session


class AsyncpgConnector(RowLists, AsyncConnector[Any], WithoutClass, BaseAsyncConnector):
    """A connector on asyncpg, on a pool of ours or on an `asyncpg.Pool` of the caller's.

    procrastinate has none. Before it is open, it defers synchronously on psycopg.
    """

    connection_factory = AsyncpgConnectionFactory
    sync_connector = SyncPsycopgConnector
    loop_bound = True
    pool = property(AsyncConnector.require_pool)

    def reject_pool(self, pool: Any) -> str | None:
        if isinstance(pool, asyncpg.Pool):
            return None
        return rejection(self.config.kind, "asyncpg.Pool", pool)

    async def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        own_pool = self.own_pool  # the connector may be closed before the connection is returned
        try:
            if own_pool is None:
                async with self.require_pool().acquire() as connection:
                    return await self._send_on(connection, query, arguments, fetch)
            connection = await own_pool.getconn()
            try:
                return await self._send_on(connection, query, arguments, fetch)
            finally:
                await own_pool.putconn(connection)
        except AsyncpgConnectionFactory.errors as error:
            raise connector_exception(error) from error

    async def _send_on(self, connection: Any, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        is_ours = self.own_pool is not None
        sent = connection.protocol.queries_count if is_ours else 0
        sent_at = monotonic()
        try:
            rows = await self._rows(connection, query, arguments, fetch)
        except asyncio.CancelledError:
            if is_ours:
                connection.is_cancelled = True
            raise
        except AsyncpgConnectionFactory.errors as error:
            if is_ours and connection.protocol.queries_count == sent and connection.closed:
                message = "the connection was lost before the query was sent"
                raise SafeToRetry(message, is_certain=True) from error
            is_extended = bool(arguments) or fetch is not None
            raise_lost(
                error,
                query,
                sent_at,
                shutdown=_shutdown(error),
                is_extended=is_extended,
                is_lost=connection.is_closed(),
            )
            if not is_ours and is_of_useless_session(error):
                connection.terminate()  # the caller's pool then replaces it
            if is_ours and isinstance(error, asyncpg.DataError) and getattr(error, "severity", None) is None:
                # asyncpg rejects an argument after it has prepared the query, and leaves it at that: locks
                # would stay until the connection is used again.
                await connection.execute("SELECT 1")
            raise
        if fetch is None:
            return None
        return fetch(rows if is_ours else read_json(rows, self.config.json_loads))

    async def _rows(self, connection: Any, query: str, arguments: dict[str, Any], fetch: Any) -> Rows:
        statement, values = translate(query, arguments, self.config.write_json)
        if not values and fetch is None:
            await connection.execute(statement)  # which takes several statements, as of the schema
            return []
        return [dict(row) for row in await connection.fetch(statement, *values)]

    async def execute_on(self, connection: Any, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        if not isinstance(connection, asyncpg.Connection):
            raise ConnectorException(rejection(self.config.kind, "asyncpg.Connection", connection))
        try:
            rows = await self._rows(connection, query, arguments, fetch)
            return fetch(read_json(rows, self.config.json_loads))
        except AsyncpgConnectionFactory.errors as error:
            raise connector_exception(error) from error

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        await listen(self, self._listen_on_callers_pool, on_notification, channels)

    async def _listen_on_callers_pool(self, on_notification: Notify, channels: Iterable[str]) -> None:
        async with self.require_pool().acquire() as connection:
            await listen_on_asyncpg(connection, on_notification, channels)


def _shutdown(error: BaseException) -> Shutdown | None:
    """Return the server's report that it ends the session, which asyncpg makes the cause of the loss."""
    report: Any = error.__cause__ if isinstance(error, asyncpg.ConnectionDoesNotExistError) else error
    if not isinstance(report, asyncpg.PostgresError):
        return None
    return Shutdown.reported(report.sqlstate, report.server_source_function, report.context)
