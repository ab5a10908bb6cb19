"""The kind ``psycopg2``."""

from __future__ import annotations

from functools import partial
from typing import Any

from procrastinate.contrib import psycopg2 as contrib
from procrastinate.contrib.psycopg2.psycopg2_connector import wrap_exceptions
from psycopg2.extras import Json
from psycopg2.pool import AbstractConnectionPool

from procrastinate_conn.connectors.base import SyncConnector, wrap_json
from procrastinate_conn.connectors.psycopg2.connection_factory import Psycopg2ConnectionFactory
from procrastinate_conn.connectors.psycopg2.pool_adapter import Psycopg2PoolAdapter
from procrastinate_conn.connectors.runtime.disconnects import SentQuery
from procrastinate_conn.connectors.runtime.pools import SyncPool


class Psycopg2Connector(SyncConnector[AbstractConnectionPool], contrib.Psycopg2Connector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    connection_factory = Psycopg2ConnectionFactory
    pool = property(SyncConnector.require_pool)

    def adapt_pool(self, pool: SyncPool) -> AbstractConnectionPool:
        return Psycopg2PoolAdapter(pool)

    @wrap_exceptions()
    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        pool = self.require_pool()
        connection = pool.getconn()
        try:
            with connection.cursor() as cursor:
                with SentQuery(connection.info, query):
                    cursor.execute(query, wrap_json(arguments, partial(Json, dumps=self.json_dumps)))
                result = fetch and fetch(cursor)
            connection.commit()  # which sends nothing in autocommit mode
            return result
        finally:
            pool.putconn(connection)  # which rolls back, or discards a connection that is lost
