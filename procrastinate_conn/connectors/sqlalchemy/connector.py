"""The kind ``sqlalchemy-psycopg2``: a SQLAlchemy engine on psycopg2."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic
from typing import Any

import psycopg2
import sqlalchemy
from procrastinate.contrib import sqlalchemy as contrib
from procrastinate.contrib.sqlalchemy.psycopg2_connector import PERCENT_PATTERN, wrap_exceptions
from psycopg2.extras import Json
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from procrastinate_conn.connectors.base import SyncConnector, wrap_json
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg2.connection_factory import (
    Psycopg2Connection,
    Psycopg2ConnectionFactory,
)
from procrastinate_conn.connectors.psycopg2.pool_adapter import pool_errors
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry, raise_disconnect
from procrastinate_conn.connectors.runtime.pools import SyncPool

Result = sqlalchemy.CursorResult[Any]


class PooledConnection(Psycopg2Connection):
    """A connection that goes back to its pool when SQLAlchemy closes it."""

    pool: SyncPool | None = None

    def close(self) -> None:
        """Go back to the pool; in the pool, close."""
        pool, self.pool = self.pool, None
        if _this_thread.acquired is self:
            _this_thread.acquired = None
        if pool is None:
            super().close()
            return
        try:
            if not self.closed:
                self.rollback()
                self.autocommit = True
        finally:  # even if that fails: otherwise the pool would lose a slot
            pool.putconn(self)


class PooledConnectionFactory(Psycopg2ConnectionFactory):
    """Makes connections for an engine, which has cursors of its own."""

    connection_class = PooledConnection
    cursor_factory = None


class _ThisThread(threading.local):
    """The connection that a thread has acquired last, unless it has returned that."""

    acquired: PooledConnection | None = None


_this_thread = _ThisThread()


def make_engine(pool: SyncPool) -> sqlalchemy.Engine:
    """Return an engine over an open pool of `PooledConnection`.

    libpq's parameters do not go through SQLAlchemy's URL, which knows fewer of them and would show them.
    """

    def creator() -> PooledConnection:
        try:
            connection: PooledConnection = pool.getconn()
        except PooledConnectionFactory.errors:
            with pool_errors():
                raise
        connection.pool = pool
        _this_thread.acquired = connection
        connection.autocommit = False
        return connection

    # Each checkout is a new connection to SQLAlchemy, for which it would look up hstore in the catalogue.
    arguments: dict[str, Any] = {"use_native_hstore": False}
    return sqlalchemy.create_engine(
        "postgresql+psycopg2://",
        creator=creator,
        poolclass=NullPool,
        pool_reset_on_return=None,  # `PooledConnection.close` rolls back
        **arguments,
    )


def connect(engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
    """Return a connection; on its first one an engine asks the server for its version.

    SQLAlchemy before 2.1 drops one that is lost meanwhile, and the pool would lose a slot.

    Raises
    ------
    SafeToRetry
        The server ended the session; the query was not sent.
    """
    _this_thread.acquired = None
    try:
        return engine.connect()
    except BaseException as error:
        if _this_thread.acquired is not None:
            with suppress(psycopg2.Error):  # the connection is lost
                _this_thread.acquired.close()
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            message = "the server ended the session before the query was sent"
            raise SafeToRetry(message, is_certain=True) from error
        raise
    finally:
        _this_thread.acquired = None


@lru_cache
def escape_percent(query: str) -> str:
    """Escape what is not a placeholder, as procrastinate does."""
    escaped: str = PERCENT_PATTERN.sub("%%", query)
    return escaped


class SQLAlchemyPsycopg2Connector(SyncConnector[sqlalchemy.Engine], contrib.SQLAlchemyPsycopg2Connector):
    """procrastinate's connector of that name, on an engine of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    connection_factory = PooledConnectionFactory
    pool_attribute = "_engine"

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self._json = partial(Json, dumps=config.json_dumps)

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

    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        try:
            with connect(self._engine or self.require_pool()) as connection, connection.begin():
                raw: Any = connection.connection.driver_connection
                if self.own_pool is not None:  # an engine of the caller's keeps its transactions
                    # Until it is closed. SQLAlchemy's own ``isolation_level="AUTOCOMMIT"`` costs a round trip
                    # each time, since it goes back to the server's default by naming it.
                    raw.autocommit = True
                sent_at = monotonic()
                try:
                    result = connection.exec_driver_sql(
                        escape_percent(query), wrap_json(arguments, self._json)
                    )
                except DBAPIError as error:
                    if error.orig is not None:
                        raise_disconnect(error.orig, raw.info, query, sent_at)
                    raise
                return fetch and fetch(result)
        except SQLAlchemyError:
            with wrap_exceptions():
                raise
