"""The kind ``sqlalchemy-psycopg2``: a SQLAlchemy engine on psycopg2."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy
from procrastinate.contrib import sqlalchemy as contrib
from procrastinate.contrib.sqlalchemy.psycopg2_connector import PERCENT_PATTERN, wrap_exceptions
from psycopg2.extras import Json
from sqlalchemy.exc import DBAPIError

from procrastinate_conn.connectors.base import SyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg2.connection_factory import Psycopg2ConnectionFactory
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry, classify_disconnect, retry_if_safe
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.pools import SyncPool
from procrastinate_conn.connectors.sqlalchemy.engine import (
    PooledConnection,
    autocommit,
    driver_connection,
    engine_on,
    given_back_if_stranded,
)

Result = sqlalchemy.CursorResult[Any]


class SQLAlchemyPsycopg2Connector(SyncConnector[sqlalchemy.Engine], contrib.SQLAlchemyPsycopg2Connector):
    """procrastinate's connector of that name, on an engine of ours.

    procrastinate's own runs a query again whenever its connection is lost; `farewell` says when it is right.

    Parameters
    ----------
    config
        What it is built from.
    """

    pool_attribute = "_engine"

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config, json_dumps=config.json_dumps, json_loads=config.json_loads)

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine; it has transactions as any engine has, only procrastinate's queries go without."""
        return self.require_pool()

    def make_connection_factory(self) -> Psycopg2ConnectionFactory:
        """Return what dials connections."""
        return Psycopg2ConnectionFactory(self.config, connection_class=PooledConnection)

    def adapt_pool(self, pool: SyncPool) -> sqlalchemy.Engine:
        """Return an engine."""
        return engine_on(pool)

    def execute_query(self, query: str, **arguments: Any) -> None:
        """Execute a query."""
        self._execute(query, arguments, lambda _: None)

    def execute_query_one(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        row: dict[str, Any] = self._execute(query, arguments, lambda result: dict(result.mappings().one()))
        return row

    def execute_query_all(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        rows: list[dict[str, Any]] = self._execute(
            query, arguments, lambda result: [dict(row) for row in result.mappings()]
        )
        return rows

    @retry_if_safe
    @wrap_exceptions()
    def _execute(self, query: str, arguments: dict[str, Any], fetch: Callable[[Result], Any]) -> Any:
        with self._connect() as connection, connection.begin():  # which sends nothing by itself
            if self.own_pool is not None:  # an engine of the caller's keeps its transactions
                autocommit(connection)
            with classify_disconnect(driver_connection(connection).info, query):
                result = connection.exec_driver_sql(
                    PERCENT_PATTERN.sub("%%", query),
                    wrap_json(arguments, partial(Json, dumps=self.json_dumps)),
                )
            return fetch(result)

    def _connect(self) -> sqlalchemy.Connection:
        """Return a connection; on its first one an engine asks the server for its version.

        Raises
        ------
        SafeToRetry
            The server ended the session meanwhile; the query was not sent.
        """
        try:
            with given_back_if_stranded():
                return self.engine.connect()
        except DBAPIError as error:
            if error.connection_invalidated:
                said = "the server ended the session before the query was sent"
                raise SafeToRetry(said, is_certain=True) from error
            raise
