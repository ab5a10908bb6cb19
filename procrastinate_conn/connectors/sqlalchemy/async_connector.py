"""The kind ``sqlalchemy-async``: an `AsyncEngine` of SQLAlchemy's.

One of ours is on psycopg; one of the application's is on psycopg or asyncpg. SQLAlchemy runs the same code as
for an `Engine`, in a greenlet that waits for the driver's coroutines; so does this module.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import psycopg
import sqlalchemy
from procrastinate.connector import BaseAsyncConnector, Notify
from procrastinate.exceptions import ConnectorException
from psycopg.errors import Diagnostic
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from procrastinate_conn.connectors.base import AsyncConnector, WithoutClass
from procrastinate_conn.connectors.compatibility import driver_of
from procrastinate_conn.connectors.psycopg.connection_factory import PsycopgConnectionFactory
from procrastinate_conn.connectors.psycopg.connector import JsonAdapter
from procrastinate_conn.connectors.queries import translate
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown
from procrastinate_conn.connectors.runtime.listener import listen, listen_on, listen_on_asyncpg
from procrastinate_conn.connectors.runtime.pools import AsyncPool
from procrastinate_conn.connectors.runtime.steps import run_async
from procrastinate_conn.connectors.sqlalchemy.engine import (
    Driver,
    EngineQueries,
    PooledConnection,
    note_cursor,
    raise_connector_exception,
    this_thread,
)
from procrastinate_conn.connectors.sqlalchemy.psycopg_connector import (
    PsycopgDriver,
    SQLAlchemyPsycopgConnector,
    add_notice_handler_once,
    require_class,
)


class PooledAsyncConnection(psycopg.AsyncConnection[Any], PooledConnection):
    """A connection of psycopg's that goes back to its pool when an engine closes it."""

    __module__ = psycopg.AsyncConnection.__module__  # by which agents name the database's system

    def add_notice_handler(self, callback: Callable[[Diagnostic], None]) -> None:
        add_notice_handler_once(super(), callback)

    async def close(self) -> None:
        await run_async(self.go_back(super().close))


class PooledAsyncConnectionFactory(PsycopgConnectionFactory):
    """Makes psycopg's connections for an engine, with the connector's JSON."""

    default_class = PooledAsyncConnection

    def adopt(self, connection: Any) -> None:
        super().adopt(connection)
        require_class(connection, self.default_class)
        JsonAdapter(self.config).adapt(connection)


class AsyncpgDriver(Driver):
    """asyncpg under an engine of the application's, which imports it; SQLAlchemy parses the JSON."""

    def statement(self, query: str, arguments: dict[str, Any], _connection: Any) -> tuple[str, Any]:
        statement, values = translate(query, arguments, self.config.write_json)
        return statement, tuple(values)

    def run_script(self, connection: sqlalchemy.Connection, script: str) -> None:
        """Execute several statements, as of the schema, which asyncpg cannot prepare."""
        raw: Any = connection.connection.dbapi_connection
        try:
            raw.run_async(lambda driver_connection: driver_connection.execute(script))
        except Exception as error:
            raise ConnectorException from error

    def is_lost(self, connection: Any) -> bool:
        return bool(connection.driver_connection.is_closed())

    def raise_disconnect(self, error: Exception, connection: Any, /, *_: object) -> None:
        if self.is_lost(connection):
            raise OutcomeUnknown.after(error)


class SQLAlchemyAsyncConnector(EngineQueries, AsyncConnector[AsyncEngine], WithoutClass, BaseAsyncConnector):
    """A connector on an AsyncEngine of SQLAlchemy's, of which procrastinate has none."""

    driver_classes = (
        ("psycopg", PsycopgDriver),
        ("psycopg_async", PsycopgDriver),
        ("asyncpg", AsyncpgDriver),
    )
    connection_factory = PooledAsyncConnectionFactory
    sync_connector = SQLAlchemyPsycopgConnector
    engine_class = AsyncEngine
    errors = (SQLAlchemyError, psycopg.Error, OSError)  # the last is a connection's, on asyncpg

    def reject_pool(self, pool: Any) -> str | None:
        if self.config.json_loads is not None and driver_of(pool) == "asyncpg":
            return (
                "SQLAlchemy parses the JSON of an engine over asyncpg, and json_loads would have no effect:"
                " leave it out, and pass json_deserializer to create_async_engine"
            )
        return super().reject_pool(pool)

    def adapt_pool(self, pool: AsyncPool) -> AsyncEngine:
        """Return an engine over an open pool, which the connector keeps alive.

        SQLAlchemy 2.0 keeps the creator for as long as a connection lives that was detached.
        """
        weak_pool = weakref.proxy(pool)

        async def creator() -> Any:
            if (connection := this_thread.connection) is not None:
                return connection
            connection = await weak_pool.getconn()
            connection.put_back = partial(weak_pool.putconn, connection)
            await connection.set_autocommit(False)
            return connection

        engine = create_async_engine(**self.engine_arguments("psycopg"), async_creator=creator)
        event.listen(engine.sync_engine, "handle_error", note_cursor)
        return engine

    async def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        engine, own_pool = self._engine or self.require_pool(), self.own_pool
        try:
            if own_pool is None:
                async with engine.connect() as theirs:
                    return await theirs.run_sync(self.send_in_transaction, query, arguments, fetch)
            connection = await own_pool.getconn()
            try:
                return await greenlet_spawn(
                    self.send_on_pooled, engine.sync_engine, connection, query, arguments, fetch
                )
            finally:
                await own_pool.putconn(connection)
        except self.errors as error:
            raise_connector_exception(error)

    async def execute_on(self, connection: Any, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        self.require_connection(connection, AsyncConnection)
        return await connection.run_sync(self._execute_with, query, arguments, fetch)

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        await listen(self, self._listen_on_callers_engine, on_notification, channels)

    async def _listen_on_callers_engine(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen on a connection that the caller's engine has made, and no longer has in its pool."""
        engine = self.require_pool()
        try:
            pooled = await engine.raw_connection()
        except (*self.errors, engine.dialect.loaded_dbapi.Error) as error:
            raise ConnectorException(str(error)) from error
        connection: Any = pooled.driver_connection
        pooled.detach()
        if engine.dialect.driver == "asyncpg":
            try:
                await listen_on_asyncpg(connection, on_notification, channels)
            finally:
                connection.terminate()
        async with connection:
            await connection.rollback()
            await connection.set_autocommit(True)
            await listen_on(self.connection_factory(self.config), connection, on_notification, channels)
