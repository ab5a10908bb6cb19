"""The kinds ``psycopg`` and ``sync-psycopg``: psycopg 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException, NoResult
from psycopg.abc import AdaptContext, Dumper
from psycopg.adapt import PyFormat
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from procrastinate_conn.connectors.base import AsyncConnector, SyncConnector
from procrastinate_conn.connectors.compatibility import rejection
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.exceptions import connector_exception
from procrastinate_conn.connectors.json_arguments import (
    DEFER_JOBS,
    adapt_arguments,
    jobs_as_text,
    wrap_json,
)
from procrastinate_conn.connectors.psycopg.connection_factory import (
    PsycopgConnectionFactory,
    SyncPsycopgConnectionFactory,
)
from procrastinate_conn.connectors.runtime.disconnects import raise_disconnect
from procrastinate_conn.connectors.runtime.retry import is_of_useless_session


class SyncPsycopgConnector(SyncConnector[ConnectionPool[Any]], procrastinate.SyncPsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours."""

    connection_factory = SyncPsycopgConnectionFactory
    pool_class = ConnectionPool
    pool = property(SyncConnector.require_pool)

    def __init__(self, config: ConnectorConfig) -> None:
        self._json = JsonAdapter(config)
        super().__init__(config)

    @staticmethod
    def fetch_one(cursor: Any) -> dict[str, Any]:
        return _require_row(cursor.fetchone())

    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        pool = self.own_pool or self.require_pool()
        try:
            connection = pool.getconn()
            try:
                cursor = connection.cursor(row_factory=dict_row)
                self._json.adapt(cursor)
                sent_at = monotonic()
                try:
                    cursor.execute(query, self._json.arguments(query, arguments, connection))
                except Exception as error:
                    raise_disconnect(
                        error, connection.info, query, sent_at, cursor=cursor, arguments=arguments
                    )
                    if self.own_pool is None and is_of_useless_session(error):
                        connection.pgconn.finish()  # the caller's pool then replaces it
                    elif not connection.autocommit:
                        connection.rollback()
                    raise
                result = fetch and fetch(cursor)
                if not connection.autocommit:
                    connection.commit()
                return result
            finally:
                pool.putconn(connection)  # which rolls back, or discards a connection that is lost
        except psycopg.Error as error:
            raise connector_exception(error) from error

    def execute_on(self, connection: Any, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        if not isinstance(connection, psycopg.Connection):
            raise ConnectorException(rejection(self.config.kind, "psycopg.Connection", connection))
        try:
            cursor = connection.cursor(row_factory=dict_row)
            self._json.adapt(cursor)
            cursor.execute(query, self._json.arguments(query, arguments, connection))
            return fetch(cursor)
        except psycopg.Error as error:
            raise connector_exception(error) from error


class PsycopgConnector(AsyncConnector[AsyncConnectionPool[Any]], procrastinate.PsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours."""

    connection_factory = PsycopgConnectionFactory
    pool_class = AsyncConnectionPool
    sync_connector = SyncPsycopgConnector
    pool_attribute = "_async_pool"
    pool = property(AsyncConnector.require_pool)

    def __init__(self, config: ConnectorConfig) -> None:
        self._json = JsonAdapter(config)
        super().__init__(config)

    @staticmethod
    async def fetch_one(cursor: Any) -> dict[str, Any]:
        return _require_row(await cursor.fetchone())

    async def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        pool = self.own_pool or self.require_pool()
        try:
            connection = await pool.getconn()
            try:
                cursor = connection.cursor(row_factory=dict_row)
                self._json.adapt(cursor)
                sent_at = monotonic()
                try:
                    await cursor.execute(query, self._json.arguments(query, arguments, connection))
                except Exception as error:
                    raise_disconnect(
                        error, connection.info, query, sent_at, cursor=cursor, arguments=arguments
                    )
                    if self.own_pool is None and is_of_useless_session(error):
                        connection.pgconn.finish()  # the caller's pool then replaces it
                    elif not connection.autocommit:
                        await connection.rollback()
                    raise
                result = await fetch(cursor) if fetch else None
                if not connection.autocommit:
                    await connection.commit()
                return result
            finally:
                await pool.putconn(connection)
        except psycopg.Error as error:
            raise connector_exception(error) from error

    async def execute_on(self, connection: Any, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        if not isinstance(connection, psycopg.AsyncConnection):
            raise ConnectorException(rejection(self.config.kind, "psycopg.AsyncConnection", connection))
        try:
            cursor = connection.cursor(row_factory=dict_row)
            self._json.adapt(cursor)
            await cursor.execute(query, self._json.arguments(query, arguments, connection))
            return await fetch(cursor)
        except psycopg.Error as error:
            raise connector_exception(error) from error


def _require_row(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise NoResult
    return row


class JsonAdapter:
    """How psycopg writes and reads JSON for a connector."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._write_json = config.write_json
        self._wrapper = partial(Jsonb, dumps=config.json_dumps)
        self.dumps = None if config.json_dumps is None else _JsonFunction(config.json_dumps)
        self.loads = None if config.json_loads is None else _TextFunction(config.json_loads)

    def adapt(self, context: AdaptContext) -> None:
        """Adapt a cursor, or another of psycopg's objects."""
        if self.dumps is not None:
            set_json_dumps(self.dumps, context)
        if self.loads is not None:
            set_json_loads(self.loads, context)

    def arguments(self, query: str, arguments: dict[str, Any], connection: Any) -> dict[str, Any] | None:
        """Return a query's arguments for a connection, with JSON as psycopg would write it there."""
        if query != DEFER_JOBS:
            return adapt_arguments(query, arguments, self._wrapper, self._write_json)
        dumps = self._write_json
        if self.dumps is None:  # as the application has set it
            dumper = connection.adapters.get_dumper(Jsonb, PyFormat.TEXT)(Jsonb, connection)
            dumps = partial(_dump, dumper)
        text = jobs_as_text(arguments["jobs"], dumps)
        # JSON in UTF-8, as psycopg reads it, whatever the encoding of the rest: that is left to psycopg.
        if text is None or not (text.isascii() or connection.info.encoding == "utf-8"):
            return wrap_json(arguments, self._wrapper)
        return {"jobs": text}


def _dump(dumper: Dumper, value: dict[Any, Any]) -> str:
    return bytes(dumper.dump(Jsonb(value)) or b"").decode()


@dataclass(frozen=True)
class _JsonFunction:
    """A function in an object that equals another with the same one.

    psycopg makes classes for each object, which it keeps; for a closure it makes them for every cursor, with
    a warning.
    """

    function: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        return self.function(value)


class _TextFunction(_JsonFunction):
    """A function that gets text, as from the other drivers; psycopg has bytes."""

    def __call__(self, value: str | bytes) -> Any:
        return self.function(value if isinstance(value, str) else value.decode())
