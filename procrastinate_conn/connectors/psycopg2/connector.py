"""The kind ``psycopg2``."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import Any

from procrastinate.contrib import psycopg2 as contrib
from psycopg2.extras import Json
from psycopg2.pool import AbstractConnectionPool

from procrastinate_conn.connectors.base import SyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.exceptions import connector_exception
from procrastinate_conn.connectors.json_arguments import adapt_arguments
from procrastinate_conn.connectors.psycopg2.connection_factory import Psycopg2ConnectionFactory
from procrastinate_conn.connectors.psycopg2.pool_adapter import Psycopg2PoolAdapter
from procrastinate_conn.connectors.runtime.disconnects import raise_disconnect
from procrastinate_conn.connectors.runtime.pools import SyncPool
from procrastinate_conn.connectors.runtime.retry import is_of_useless_session


class Psycopg2Connector(SyncConnector[AbstractConnectionPool], contrib.Psycopg2Connector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    connection_factory = Psycopg2ConnectionFactory
    pool_class = AbstractConnectionPool
    pool = property(SyncConnector.require_pool)

    def adapt_pool(self, pool: SyncPool) -> AbstractConnectionPool:
        return Psycopg2PoolAdapter(pool)

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        wrapper = partial(Json, dumps=config.write_json)
        self._adapt = partial(adapt_arguments, wrapper=wrapper, dumps=config.write_json)

    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        pool = self.own_pool or self.require_pool()
        try:
            connection = pool.getconn()
            try:
                cursor = connection.cursor()
                sent_at = monotonic()
                try:
                    cursor.execute(query, self._adapt(query, arguments))
                except Exception as error:
                    raise_disconnect(error, connection.info, query, sent_at)
                    if self.own_pool is None and is_of_useless_session(error):
                        connection.close()  # the caller's pool then discards it
                    raise
                result = fetch and fetch(cursor)
                if not connection.autocommit:
                    connection.commit()
                return result
            finally:
                pool.putconn(connection)  # which rolls back, or discards a connection that is lost
        except Psycopg2ConnectionFactory.errors as error:
            raise connector_exception(error) from error
