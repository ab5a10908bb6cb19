"""The kind ``aiopg``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import aiopg
from procrastinate.contrib import aiopg as contrib
from procrastinate.contrib.psycopg2.psycopg2_connector import wrap_exceptions
from procrastinate.exceptions import ConnectorException
from psycopg2.extras import Json

from procrastinate_conn.connectors.aiopg.connection_factory import AiopgConnectionFactory, buffered_result
from procrastinate_conn.connectors.aiopg.pool_adapter import AiopgPoolAdapter
from procrastinate_conn.connectors.base import AsyncConnector, wrap_json
from procrastinate_conn.connectors.psycopg2.connector import Psycopg2Connector
from procrastinate_conn.connectors.psycopg2.pool_adapter import pool_errors
from procrastinate_conn.connectors.runtime.disconnects import SentQuery
from procrastinate_conn.connectors.runtime.pools import AsyncPool


class AiopgConnector(AsyncConnector[aiopg.Pool], contrib.AiopgConnector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    connection_factory = AiopgConnectionFactory
    sync_connector = Psycopg2Connector
    loop_bound = True
    pool = property(AsyncConnector.require_pool)

    def __del__(self) -> None:
        """Leave the pool alone, which may be the caller's, and outlive this connector."""

    def adapt_pool(self, pool: AsyncPool) -> aiopg.Pool:
        return AiopgPoolAdapter(pool)

    async def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        with wrap_exceptions():
            async with self._connection() as connection, connection.cursor() as cursor:
                with SentQuery(connection.raw.info, query), _timeout_as_error(cursor.timeout):
                    await cursor.execute(query, wrap_json(arguments, partial(Json, dumps=self.json_dumps)))
                return await fetch(cursor) if fetch else None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiopg.Connection]:
        pool = self.require_pool()
        own_pool = self.own_pool  # the connector may be closed before the connection is returned
        if own_pool is None:
            async with pool.acquire() as connection:
                yield connection
            return
        with pool_errors():  # aiopg's interface would make a task to release it
            connection = await own_pool.getconn()
        try:
            with buffered_result(connection):
                yield connection
        finally:
            await own_pool.putconn(connection)


@contextmanager
def _timeout_as_error(timeout: float) -> Iterator[None]:
    """Raise an error if aiopg's own time limit was reached, or if the server cancelled the query."""
    try:
        yield
    except TimeoutError as error:
        raise ConnectorException(f"no answer within {timeout:.0f} sec; the connection was closed") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectorException("the server cancelled the query") from error
