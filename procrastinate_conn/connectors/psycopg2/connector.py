"""The kind ``psycopg2``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from procrastinate.contrib import psycopg2 as contrib
from procrastinate.contrib.psycopg2.psycopg2_connector import wrap_exceptions
from psycopg2.extras import Json, RealDictCursor
from psycopg2.pool import AbstractConnectionPool

from procrastinate_conn.connectors.base import SyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg2.connection_factory import Psycopg2ConnectionFactory
from procrastinate_conn.connectors.psycopg2.pool_adapter import Psycopg2PoolAdapter
from procrastinate_conn.connectors.runtime.disconnects import classify_disconnect, retry_if_safe
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.pools import SyncPool


class Psycopg2Connector(SyncConnector[AbstractConnectionPool], contrib.Psycopg2Connector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again whenever its connection is lost; `farewell` says when it is right.

    Parameters
    ----------
    config
        What it is built from.
    """

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config, json_dumps=config.json_dumps, json_loads=config.json_loads)

    @property
    def pool(self) -> AbstractConnectionPool:
        """The pool."""
        return self.require_pool()

    def make_connection_factory(self) -> Psycopg2ConnectionFactory:
        """Return what dials connections."""
        return Psycopg2ConnectionFactory(self.config, cursor_factory=RealDictCursor)

    def adapt_pool(self, pool: SyncPool) -> AbstractConnectionPool:
        """Return a `psycopg2.pool.ThreadedConnectionPool`."""
        return Psycopg2PoolAdapter(pool)

    def execute_query(self, query: str, **arguments: Any) -> None:
        """Execute a query."""
        self._execute(query, arguments, lambda _: None)

    def execute_query_one(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        row: dict[str, Any] = self._execute(query, arguments, lambda cursor: cursor.fetchone())
        return row

    def execute_query_all(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        rows: list[dict[str, Any]] = self._execute(query, arguments, lambda cursor: cursor.fetchall())
        return rows

    @retry_if_safe
    @wrap_exceptions()
    def _execute(self, query: str, arguments: dict[str, Any], result: Callable[[Any], Any]) -> Any:
        pool = self.pool
        connection = pool.getconn()
        try:
            with connection.cursor() as cursor:
                with classify_disconnect(connection.info, query):
                    cursor.execute(query, wrap_json(arguments, partial(Json, dumps=self.json_dumps)))
                fetched = result(cursor)
            connection.commit()  # which sends nothing in autocommit mode
            return fetched
        finally:
            pool.putconn(connection)  # which rolls back, or drops a connection that is lost
