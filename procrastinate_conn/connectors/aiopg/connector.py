"""The kind ``aiopg``."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import Any

import aiopg
import psycopg2
from procrastinate.contrib import aiopg as contrib
from procrastinate.exceptions import ConnectorException
from psycopg2.extras import Json

from procrastinate_conn.connectors.aiopg.connection_factory import AiopgConnectionFactory
from procrastinate_conn.connectors.aiopg.pool_adapter import AiopgPoolAdapter
from procrastinate_conn.connectors.base import AsyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.exceptions import connector_exception
from procrastinate_conn.connectors.json_arguments import adapt_arguments
from procrastinate_conn.connectors.psycopg2.connector import Psycopg2Connector
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry, raise_disconnect
from procrastinate_conn.connectors.runtime.pools import AsyncPool
from procrastinate_conn.connectors.runtime.retry import is_of_useless_session


class AiopgConnector(AsyncConnector[aiopg.Pool], contrib.AiopgConnector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    connection_factory = AiopgConnectionFactory
    pool_class = aiopg.Pool
    sync_connector = Psycopg2Connector
    loop_bound = True
    pool = property(AsyncConnector.require_pool)

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        wrapper = partial(Json, dumps=config.write_json)
        self._adapt = partial(adapt_arguments, wrapper=wrapper, dumps=config.write_json)

    def __del__(self) -> None:
        """Leave the pool alone, which may be the caller's, and outlive this connector."""

    def adapt_pool(self, pool: AsyncPool) -> aiopg.Pool:
        return AiopgPoolAdapter(pool)

    async def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        own_pool = self.own_pool  # the connector may be closed before the connection is returned
        try:
            if own_pool is None:
                async with self.require_pool().acquire() as connection:
                    return await self._send_on(connection, query, arguments, fetch)
            connection = await own_pool.getconn()  # aiopg's interface would make a task to release it
            raw = connection.raw
            raw.is_buffering, raw.has_result = True, False
            try:
                return await self._send_on(connection, query, arguments, fetch)
            finally:
                raw.is_buffering = False
                await own_pool.putconn(connection)
        except AiopgConnectionFactory.errors as error:
            raise connector_exception(error) from error

    async def _send_on(
        self, connection: aiopg.Connection, query: Any, arguments: dict[str, Any], fetch: Any
    ) -> Any:
        try:
            cursor = await connection.cursor()
        except psycopg2.InterfaceError as error:  # the event loop has read the end of the connection
            raise SafeToRetry("the connection was lost before the query was sent", is_certain=True) from error
        async with cursor:
            sent_at = monotonic()
            try:
                await cursor.execute(query, self._adapt(query, arguments))
            except TimeoutError as error:  # aiopg's own
                message = f"no answer within {cursor.timeout:.0f} sec; the connection was closed"
                raise ConnectorException(message) from error
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                raise ConnectorException("the server cancelled the query") from error
            except Exception as error:
                raise_disconnect(error, connection.raw.info, query, sent_at)
                if self.own_pool is None and is_of_useless_session(error):
                    connection.close()  # the caller's pool then discards it
                raise
            return await fetch(cursor) if fetch else None
