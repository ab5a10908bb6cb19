"""What the connectors on a SQLAlchemy engine share, whatever the driver."""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from time import monotonic
from typing import Any, ClassVar

import sqlalchemy
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import NoResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from procrastinate_conn.connectors.base import SyncConnector, wrap_json
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry, raise_disconnect
from procrastinate_conn.connectors.runtime.pools import SyncPool

Result = sqlalchemy.CursorResult[Any]


class PooledConnection:
    """A part of the class of a driver's connections: they go back to their pool when an engine closes them.

    The connection that the pool knows may be an agent's proxy of this one.
    """

    put_back: Callable[[], None] | None = None  # set while an engine has the connection
    for_queries: sqlalchemy.Connection | None = None  # procrastinate's queries are executed on it
    # The driver's.
    closed: Any
    autocommit: Any
    rollback: Any

    def close(self) -> None:
        """Go back to the pool; in the pool, close."""
        put_back, self.put_back = self.put_back, None
        if put_back is None:
            self.for_queries = None
            driver: Any = super()
            driver.close()
            return
        try:
            if not self.closed:
                self.rollback()
                self.autocommit = True
        finally:  # even if that fails: otherwise the pool would lose a slot
            put_back()


class _ThisThread(threading.local):
    """The connection that the engine is to take next, instead of one from the pool."""

    connection: Any = None


_this_thread = _ThisThread()


class EngineConnector(SyncConnector[sqlalchemy.Engine]):
    """A connector on an engine, over a pool of `PooledConnection` unless it is the caller's."""

    pool_attribute = "_engine"
    _engine: sqlalchemy.Engine | None = None
    errors: ClassVar[tuple[type[Exception], ...]]  # of SQLAlchemy, of the driver and of the pool
    url: ClassVar[str]  # names the driver, and nothing else
    json: Callable[[Any], object]  # the driver's wrapper for JSON

    @abstractmethod
    def wrap_exceptions(self) -> AbstractContextManager[None]:
        """Raise errors of SQLAlchemy, of the driver and of the pool as procrastinate's."""

    def pool_errors(self) -> AbstractContextManager[None]:
        """Raise errors of the pool as the driver's."""
        return nullcontext()

    def get_sync_connector(self) -> BaseConnector:
        return self

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine; it has transactions as any engine has, only procrastinate's queries go without."""
        return self.require_pool()

    def adapt_pool(self, pool: SyncPool) -> sqlalchemy.Engine:
        """Return an engine over an open pool.

        libpq's parameters do not go through SQLAlchemy's URL, which knows fewer of them and would show them.
        """

        def creator() -> Any:
            if (connection := _this_thread.connection) is not None:
                return connection
            with self.pool_errors():
                connection = pool.getconn()
            connection.put_back = partial(pool.putconn, connection)
            connection.autocommit = False
            return connection

        # Each checkout is a new connection to SQLAlchemy, for which it would look up hstore in the catalogue.
        arguments: dict[str, Any] = {"use_native_hstore": False}
        return sqlalchemy.create_engine(
            self.url,
            creator=creator,
            poolclass=NullPool,
            pool_reset_on_return=None,  # `PooledConnection.close` rolls back
            **arguments,
        )

    def _connect(self, connection: Any) -> sqlalchemy.Connection:
        """Return SQLAlchemy's connection for procrastinate's queries on one of the pool's.

        It is detached from the engine, and kept: to make one takes as much time as a query. On its first one
        an engine asks the server for its version.

        Raises
        ------
        SafeToRetry
            The server ended the session; the query was not sent.
        """
        _this_thread.connection = connection
        try:
            ours = self.require_pool().connect().execution_options(isolation_level="AUTOCOMMIT")
        except DBAPIError as error:
            if error.connection_invalidated:
                message = "the server ended the session before the query was sent"
                raise SafeToRetry(message, is_certain=True) from error
            raise
        finally:
            _this_thread.connection = None
        ours.detach()
        connection.for_queries = ours
        return ours

    @staticmethod
    def fetch_row(result: Result) -> dict[str, Any] | None:
        row = result.first()
        return None if row is None else dict(zip(result.keys(), row, strict=True))

    @staticmethod
    def fetch_one(result: Result) -> dict[str, Any]:
        row = EngineConnector.fetch_row(result)
        if row is None:
            raise NoResult
        return row

    @staticmethod
    def fetch_all(result: Result) -> list[dict[str, Any]]:
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        own_pool = self.own_pool
        try:
            if own_pool is None:  # an engine of the caller's keeps its transactions
                with self.require_pool().begin() as theirs:
                    return self._send_on(theirs, query, arguments, fetch)
            connection = own_pool.getconn()
            try:
                ours = connection.for_queries or self._connect(connection)
                return self._send_on(ours, query, arguments, fetch)
            except BaseException:
                if connection.for_queries is not None and connection.for_queries.invalidated:
                    connection.for_queries = None
                raise
            finally:
                own_pool.putconn(connection)
        except self.errors:
            with self.wrap_exceptions():
                raise

    def _send_on(
        self, connection: sqlalchemy.Connection, query: str, arguments: dict[str, Any], fetch: Any
    ) -> Any:
        raw: Any = connection.connection.dbapi_connection
        sent_at = monotonic()
        try:
            result = connection.exec_driver_sql(escape_percent(query), wrap_json(arguments, self.json))
        except DBAPIError as error:
            if isinstance(error.orig, Exception):
                raise_disconnect(error.orig, raw.info, query, sent_at)
            raise
        if fetch is not None:
            return fetch(result)
        result.close()
        return None


_LITERAL_PERCENT = re.compile(r"%%|%(?![(s])")


@lru_cache
def escape_percent(query: str) -> str:
    """Escape every ``%`` that is neither part of a placeholder nor escaped already, as of a schema."""
    return _LITERAL_PERCENT.sub("%%", query)
