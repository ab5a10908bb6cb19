"""The kind ``sync-psycopg``: psycopg 3, synchronous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString, TypeVar

import procrastinate
import psycopg
from procrastinate.exceptions import NoResult
from procrastinate.sync_psycopg_connector import wrap_exceptions
from psycopg.abc import AdaptContext
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from psycopg_pool import ConnectionPool

from procrastinate_conn.connectors.base import SyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import SyncConnectionFactory
from procrastinate_conn.connectors.runtime.disconnects import (
    classify_disconnect,
    is_extended,
    listen_for_farewell,
    retry_if_safe,
)
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.pools import SyncPool
from procrastinate_conn.registry import ConnectorKind

T = TypeVar("T")


class SyncPsycopgConnectionFactory(SyncConnectionFactory):
    """Dials psycopg's connections."""

    kind = ConnectorKind.SYNC_PSYCOPG

    def open_connection(self, conninfo: str) -> psycopg.Connection[Any]:
        """Return a connection in autocommit mode.

        procrastinate's queries are single statements, each of them a transaction by itself: BEGIN and
        COMMIT would be two round trips for nothing.
        """
        connection_class: Any = (
            self.config.pool.callback("connection_class", asynchronous=False) or psycopg.Connection
        )
        try:
            connection: psycopg.Connection[Any] = connection_class.connect(
                conninfo, autocommit=True, prepare_threshold=self.config.pool.prepare_threshold
            )
        except psycopg.OperationalError as error:
            error.args = (name_every_host(str(error), conninfo),)
            raise
        listen_for_farewell(connection, self.terminated)
        return connection

    def drop(self, connection: psycopg.Connection[Any]) -> None:
        """Close a connection, and not as `close` does, which with `close_returns` gives it back."""
        connection.pgconn.finish()

    def ping(self, connection: psycopg.Connection[Any]) -> None:
        """Make a round trip."""
        ConnectionPool.check_connection(connection)


class SyncPsycopgConnector(SyncConnector["ConnectionPool[Any]"], procrastinate.SyncPsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours.

    Parameters
    ----------
    config
        What it is built from.
    """

    def __init__(self, config: ConnectorConfig) -> None:
        self._json = Json(config)
        super().__init__(config, json_dumps=config.json_dumps, json_loads=config.json_loads)

    @property
    def pool(self) -> ConnectionPool[Any]:
        """The pool."""
        return self.require_pool()

    def make_connection_factory(self) -> SyncPsycopgConnectionFactory:
        """Return what dials connections."""
        return SyncPsycopgConnectionFactory(self.config)

    def adapt_pool(self, pool: SyncPool) -> ConnectionPool[Any]:
        """Return the pool as it is: it is psycopg's already."""
        return pool

    def execute_query(self, query: LiteralString, **arguments: Any) -> None:
        """Execute a query."""
        self._execute(query, arguments, lambda _: None)

    def execute_query_one(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        row = self._execute(query, arguments, lambda cursor: cursor.fetchone())
        if row is None:
            raise NoResult
        return row

    def execute_query_all(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        return self._execute(query, arguments, lambda cursor: cursor.fetchall())

    @retry_if_safe
    @wrap_exceptions()
    def _execute(
        self, query: LiteralString, arguments: dict[str, Any], result: Callable[[psycopg.Cursor[DictRow]], T]
    ) -> T:
        with (
            self.pool.connection() as connection,  # which commits, and sends nothing in autocommit mode
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            self._json.adapt(cursor)
            with classify_disconnect(connection.info, query, cursor, extended=is_extended(cursor, arguments)):
                cursor.execute(query, wrap_json(arguments, Jsonb))
            return result(cursor)


class Json:
    """How psycopg writes and reads JSON for a connector.

    Parameters
    ----------
    config
        What the connector is built from.
    """

    def __init__(self, config: ConnectorConfig) -> None:
        self.dumps = config.json_dumps
        self.loads = None if config.json_loads is None else _from_text(config.json_loads)

    def adapt(self, context: AdaptContext) -> None:
        """Let a cursor, or another of psycopg's objects, do as is said."""
        if self.dumps is not None:
            set_json_dumps(self.dumps, context)
        if self.loads is not None:
            set_json_loads(self.loads, context)


def _from_text(loads: Callable[[str], Any]) -> Callable[[str | bytes], Any]:
    """Give `loads` text, as the other drivers do; psycopg has bytes."""
    return lambda data: loads(data if isinstance(data, str) else data.decode())
