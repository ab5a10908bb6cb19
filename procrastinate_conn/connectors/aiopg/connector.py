"""The kind ``aiopg``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import aiopg
from procrastinate import connector
from procrastinate.contrib import aiopg as contrib
from procrastinate.contrib.psycopg2.psycopg2_connector import wrap_exceptions
from procrastinate.exceptions import ConnectorException
from psycopg2.extras import Json

from procrastinate_conn.connectors.aiopg.connection import answer_kept
from procrastinate_conn.connectors.aiopg.connection_factory import AiopgConnectionFactory
from procrastinate_conn.connectors.aiopg.pool_adapter import AiopgPoolAdapter
from procrastinate_conn.connectors.base import AsyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg2.connector import Psycopg2Connector
from procrastinate_conn.connectors.psycopg2.errors import pool_errors
from procrastinate_conn.connectors.runtime.disconnects import classify_disconnect, retry_if_safe_async
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.listener import listen
from procrastinate_conn.connectors.runtime.loop_bridge import on_owner_loop
from procrastinate_conn.connectors.runtime.pools import AsyncPool
from procrastinate_conn.connectors.runtime.retry import retry_idempotent


class AiopgConnector(AsyncConnector[aiopg.Pool], contrib.AiopgConnector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again whenever its connection is lost; `farewell` says when it is right.

    Parameters
    ----------
    config
        What it is built from.
    """

    loop_bound = True

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config, json_dumps=config.json_dumps, json_loads=config.json_loads)

    def __del__(self) -> None:
        """Leave the pool alone, which may be the caller's, and outlive this connector."""

    @property
    def pool(self) -> aiopg.Pool:
        """The pool."""
        return self.require_pool()

    def make_sync_connector(self) -> Psycopg2Connector:
        """Return the connector for synchronous use before this one is open."""
        return Psycopg2Connector(self.config)

    def make_connection_factory(self) -> AiopgConnectionFactory:
        """Return what dials connections."""
        return AiopgConnectionFactory(self.config)

    def adapt_pool(self, pool: AsyncPool) -> aiopg.Pool:
        """Return an `aiopg.Pool`."""
        return AiopgPoolAdapter(pool)

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        """Execute a query."""
        await self._execute(query, arguments, _nothing)

    async def execute_query_one_async(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        row: dict[str, Any] = await self._execute(query, arguments, lambda cursor: cursor.fetchone())
        return row

    async def execute_query_all_async(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        rows: list[dict[str, Any]] = await self._execute(query, arguments, lambda cursor: cursor.fetchall())
        return rows

    @on_owner_loop
    @retry_idempotent
    @retry_if_safe_async
    async def _execute(
        self, query: str, arguments: dict[str, Any], result: Callable[[aiopg.Cursor], Awaitable[Any]]
    ) -> Any:
        with wrap_exceptions():
            async with self._connection() as connection, connection.cursor() as cursor:
                with classify_disconnect(connection.raw.info, query), _told_as_errors(cursor.timeout):
                    await cursor.execute(query, wrap_json(arguments, partial(Json, dumps=self.json_dumps)))
                return await result(cursor)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiopg.Connection]:
        pool, own_pool = (
            self.pool,
            self.own_pool,
        )  # which may be closed, and gone, before the connection comes back
        if own_pool is None:
            async with pool.acquire() as connection:
                yield connection
            return
        with pool_errors():  # without the detour over aiopg's interface, which makes a task to release it
            connection = await own_pool.getconn()
        try:
            with answer_kept(connection):
                yield connection
        finally:
            await own_pool.putconn(connection)

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


@contextmanager
def _told_as_errors(timeout: float) -> Iterator[None]:
    """Raise where aiopg's own time limit was reached, and where the server cancelled the query."""
    try:
        yield
    except TimeoutError as error:
        raise ConnectorException(f"no answer within {timeout:.0f} sec; the connection was closed") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectorException("the server cancelled the query") from error


async def _nothing(_: object) -> None:
    """Fetch nothing."""
