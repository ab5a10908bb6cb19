"""The kind ``sqlalchemy-psycopg2``: a SQLAlchemy engine on psycopg2."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy
from procrastinate.contrib import sqlalchemy as contrib
from procrastinate.contrib.sqlalchemy.psycopg2_connector import PERCENT_PATTERN, wrap_exceptions
from psycopg2.extras import Json
from sqlalchemy.exc import DBAPIError

from procrastinate_conn.connectors.base import SyncConnector, wrap_json
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry, SentQuery
from procrastinate_conn.connectors.runtime.pools import SyncPool
from procrastinate_conn.connectors.sqlalchemy.engine import (
    PooledConnectionFactory,
    driver_connection,
    make_engine,
    returned_if_connecting_fails,
    set_autocommit,
)

Result = sqlalchemy.CursorResult[Any]


class SQLAlchemyPsycopg2Connector(SyncConnector[sqlalchemy.Engine], contrib.SQLAlchemyPsycopg2Connector):
    """procrastinate's connector of that name, on an engine of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    connection_factory = PooledConnectionFactory
    pool_attribute = "_engine"

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine; it has transactions as any engine has, only procrastinate's queries go without."""
        return self.require_pool()

    def adapt_pool(self, pool: SyncPool) -> sqlalchemy.Engine:
        return make_engine(pool)

    @staticmethod
    def fetch_row(result: Result) -> dict[str, Any] | None:
        row = result.mappings().first()
        return None if row is None else dict(row)

    @staticmethod
    def fetch_one(result: Result) -> dict[str, Any]:
        return dict(result.mappings().one())

    @staticmethod
    def fetch_all(result: Result) -> list[dict[str, Any]]:
        return [dict(row) for row in result.mappings()]

    @wrap_exceptions()
    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        with self._connect() as connection, connection.begin():  # which sends nothing by itself
            if self.own_pool is not None:  # an engine of the caller's keeps its transactions
                set_autocommit(connection)
            json = partial(Json, dumps=self.json_dumps)
            with SentQuery(driver_connection(connection).info, query):
                result = connection.exec_driver_sql(
                    PERCENT_PATTERN.sub("%%", query), wrap_json(arguments, json)
                )
            return fetch and fetch(result)

    def _connect(self) -> sqlalchemy.Connection:
        """Return a connection; on its first one an engine asks the server for its version.

        Raises
        ------
        SafeToRetry
            The server ended the session meanwhile; the query was not sent.
        """
        try:
            with returned_if_connecting_fails():
                return self.require_pool().connect()
        except DBAPIError as error:
            if error.connection_invalidated:
                message = "the server ended the session before the query was sent"
                raise SafeToRetry(message, is_certain=True) from error
            raise
