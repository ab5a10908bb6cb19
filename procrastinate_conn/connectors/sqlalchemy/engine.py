"""What the connectors on a SQLAlchemy engine share, synchronous or not, whatever the driver.

An engine of ours takes its connections from a pool of ours, and returns them when it closes them. That is for
the application. procrastinate's queries need no transaction, and have a connection of SQLAlchemy's that stays
on the pool's: to make one, and a transaction on it, takes as much CPU time as a query.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from time import monotonic
from typing import Any, ClassVar, LiteralString, NoReturn

import sqlalchemy
from procrastinate.exceptions import ConnectorException
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connectors.base import PooledConnector, RowLists, SyncConnector
from procrastinate_conn.connectors.compatibility import driver_of, rejection
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.exceptions import connector_exception
from procrastinate_conn.connectors.json_arguments import adapt_arguments
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown, SafeToRetry, raise_disconnect
from procrastinate_conn.connectors.runtime.pools import SyncPool
from procrastinate_conn.connectors.runtime.retry import is_of_useless_session
from procrastinate_conn.connectors.runtime.steps import Steps


class PooledConnection:
    """A part of the class of a driver's connections: an engine that closes one returns it to its pool."""

    put_back: Callable[[], Any] | None = None  # set while the engine has the connection
    for_queries: sqlalchemy.Connection | None = None  # procrastinate's queries are executed on it
    # The driver's. Asynchronous ones are awaited.
    closed: Any
    rollback: Any
    set_autocommit: Any

    # Returns what the driver has opened, which an agent may have wrapped. AWS X-Ray wraps it once more in the
    # pool, and unwraps it once for psycopg2's own functions.
    as_opened: Callable[[], Any]

    def go_back(self, close: Callable[[], Any]) -> Steps:
        """Go back to the pool; in the pool, call the driver's `close`."""
        put_back, self.put_back = self.put_back, None
        if put_back is None:
            self.for_queries = None
            yield close()
            return
        try:
            if not self.closed:
                yield self.rollback()
                yield self.set_autocommit(True)
        finally:  # even if that fails: otherwise the pool would lose a slot
            yield put_back()


class Driver:
    """How queries go through a driver under an engine."""

    is_extended: ClassVar[bool]  # whether it sends queries with PostgreSQL's extended protocol
    json: Callable[[Any], object]  # the driver's wrapper for JSON
    run_script: Any = None  # executes several statements, if the driver cannot in the usual way
    adapt: Any = None  # lets a cursor of the driver's parse JSON as the connector is to

    def __init__(self, config: ConnectorConfig) -> None:
        self.config = config

    def statement(self, query: str, arguments: dict[str, Any], _connection: Any) -> tuple[str, Any]:
        """Return a query and its arguments for a connection of the driver's, as SQLAlchemy has it."""
        return escape_percent(query), adapt_arguments(query, arguments, self.json, self.config.write_json)

    def adapt_cursors(self, connection: sqlalchemy.Connection) -> None:
        """Let a connection of the caller's engine parse JSON as the connector is to."""
        if self.config.json_loads is None or self.adapt is None:
            return

        @event.listens_for(connection, "before_cursor_execute")
        def adapt(_connection: Any, cursor: Any, *_: Any) -> None:
            self.adapt(_driver_cursor(cursor))

    def is_lost(self, connection: Any) -> bool:
        """Tell whether a connection of the driver's, as SQLAlchemy has it, is lost."""
        return bool(connection.info.status != 0)

    def raise_disconnect(
        self, error: Exception, connection: Any, query: str, sent_at: float, arguments: dict[str, Any], /
    ) -> None:
        """Raise `SafeToRetry` or `OutcomeUnknown` from an error; do nothing if the connection stands."""
        cursor = _driver_cursor(getattr(error, "of_cursor", None)) if self.is_extended else None
        raise_disconnect(error, connection.info, query, sent_at, cursor=cursor, arguments=arguments)


def _driver_cursor(cursor: Any) -> Any:
    """Return the driver's own: SQLAlchemy's of an asynchronous driver has it, with no public way to it."""
    return getattr(cursor, "_cursor", cursor)


def note_cursor(context: ExceptionContext) -> None:
    """Let a driver's error have its cursor, which tells how far the query came."""
    error: Any = context.original_exception
    if context.execution_context is not None:
        error.of_cursor = context.execution_context.cursor


class _ThisThread(threading.local):
    """The connection that the engine is to take next, instead of one from the pool."""

    connection: Any = None


this_thread = _ThisThread()


def raise_connector_exception(error: Any) -> NoReturn:
    """Raise procrastinate's exception for an error of SQLAlchemy's, of the driver's or of the pool.

    Its cause is the driver's error, if SQLAlchemy has one.
    """
    cause = getattr(error, "orig", None) or error
    # asyncpg's report is the cause of the error that SQLAlchemy makes of it.
    report = cause if hasattr(cause, "diag") else cause.__cause__
    raise connector_exception(report) from cause


class EngineQueries(RowLists, PooledConnector[Any]):
    """How a connector sends queries on an engine, and on connections of the caller's."""

    errors: ClassVar[tuple[type[Exception], ...]]  # of SQLAlchemy, of the drivers and of the pool
    engine_class: ClassVar[type] = sqlalchemy.Engine
    pool_attribute = "_engine"
    _engine: Any = None
    driver_classes: ClassVar[tuple[tuple[str, type[Driver]], ...]]  # by the names of SQLAlchemy's dialects

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self.drivers = {name: driver(config) for name, driver in self.driver_classes}

    @property
    def engine(self) -> Any:
        """The engine; it has transactions as any engine has, only procrastinate's queries go without."""
        return self.require_pool()

    def reject_pool(self, pool: Any) -> str | None:
        return self._reject(pool, self.engine_class)

    def require_connection(self, connection: Any, connection_class: type) -> None:
        if message := self._reject(connection, connection_class):
            raise ConnectorException(message)

    def _reject(self, given: Any, wanted: type) -> str | None:
        if isinstance(given, wanted) and driver_of(given) in self.drivers:
            return None
        drivers = " or ".join(driver for driver in self.drivers if not driver.endswith("_async"))
        return rejection(self.config.kind, f"sqlalchemy.{wanted.__name__} over {drivers}", given)

    def engine_arguments(self, driver: str) -> dict[str, Any]:
        """Return the arguments of an engine over a pool of ours, except for its creator.

        libpq's parameters do not go through SQLAlchemy's URL, which knows fewer of them, and shows some. Its
        address is for agents, which tell by it what was queried.
        """
        parameters = self.config.spec.parameters
        [server, *others] = hosts(parameters)
        url = sqlalchemy.URL.create(
            f"postgresql+{driver}",
            username=parameters.get("user"),
            host=None if others else server.shown,
            port=None if others else int(server.port),
            database=parameters.get("dbname"),
        )
        # Each checkout is a new connection to SQLAlchemy, for which it would look up hstore in the catalogue.
        return {
            "url": url,
            "poolclass": NullPool,
            "pool_reset_on_return": None,  # `PooledConnection.go_back` rolls back
            "use_native_hstore": False,
        }

    def _connect(self, engine: sqlalchemy.Engine, connection: Any) -> sqlalchemy.Connection:
        """Return SQLAlchemy's connection for procrastinate's queries on one of the pool's.

        On its first one an engine asks the server for its version.
        """
        this_thread.connection = connection
        try:
            ours = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except DBAPIError as error:
            if error.connection_invalidated:
                message = "the server ended the session before the query was sent"
                raise SafeToRetry(message, is_certain=True) from error
            raise
        finally:
            this_thread.connection = None
        ours.detach()
        connection.for_queries = ours
        return ours

    def send_on_pooled(
        self, engine: sqlalchemy.Engine, connection: Any, query: str, arguments: dict[str, Any], fetch: Any
    ) -> Any:
        ours: sqlalchemy.Connection = connection.for_queries or self._connect(engine, connection)
        try:
            return self.send_on(ours, query, arguments, fetch)
        except BaseException:
            if ours.invalidated:
                connection.for_queries = None
            raise

    def send_in_transaction(
        self, connection: sqlalchemy.Connection, query: str, arguments: dict[str, Any], fetch: Any
    ) -> Any:
        """Send a query on a connection from the caller's engine, and commit."""
        self.drivers[connection.dialect.driver].adapt_cursors(connection)
        try:
            result = self.send_on(connection, query, arguments, fetch)
        except DBAPIError as error:
            if is_of_useless_session(error.orig):
                connection.invalidate()  # the caller's engine then replaces it
            raise
        try:
            connection.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise OutcomeUnknown.after(error.orig) from error
            raise
        return result

    def send_on(
        self, connection: sqlalchemy.Connection, query: str, arguments: dict[str, Any], fetch: Any
    ) -> Any:
        driver = self.drivers[connection.dialect.driver]
        raw: Any = connection.connection.dbapi_connection
        statement, parameters = driver.statement(query, arguments, raw)
        if driver.run_script is not None and fetch is None and not arguments:
            return driver.run_script(connection, statement)
        sent_at = monotonic()
        try:
            result = connection.exec_driver_sql(statement, parameters)
        except DBAPIError as error:
            if isinstance(error.orig, Exception):
                if driver.is_lost(raw) and not raw.autocommit:
                    message = "the connection was lost before the transaction was committed"
                    raise SafeToRetry(message, is_certain=True) from error.orig
                driver.raise_disconnect(error.orig, raw, query, sent_at, arguments)
            raise
        if fetch is None:
            result.close()
            return None
        names = tuple(result.keys())
        return fetch([dict(zip(names, row, strict=True)) for row in result])

    def execute_query_one_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> Any:
        return self._execute_with(connection, query, arguments, self.fetch_one)

    def execute_query_all_with_connection(
        self, connection: Any, query: LiteralString, **arguments: Any
    ) -> Any:
        return self._execute_with(connection, query, arguments, self.fetch_all)

    def _execute_with(self, connection: Any, query: str, arguments: dict[str, Any], fetch: Any) -> Any:
        self.require_connection(connection, sqlalchemy.Connection)
        try:
            return self.send_on(connection, query, arguments, fetch)
        except self.errors as error:
            raise_connector_exception(error)


class SyncEngineConnector(EngineQueries, SyncConnector[sqlalchemy.Engine]):
    """A connector on an engine, over a pool of `PooledConnection` unless it is the caller's."""

    pool_errors: Callable[[], AbstractContextManager[None]] = nullcontext  # raises a pool's as the driver's

    def adapt_pool(self, pool: SyncPool) -> sqlalchemy.Engine:
        [driver] = self.drivers

        def creator() -> Any:
            if (connection := this_thread.connection) is None:
                with self.pool_errors():
                    connection = pool.getconn()
                connection.put_back = partial(pool.putconn, connection)
                connection.set_autocommit(False)
            return connection.as_opened()

        engine = sqlalchemy.create_engine(**self.engine_arguments(driver), creator=creator)
        event.listen(engine, "handle_error", note_cursor)
        return engine

    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        engine, own_pool = self._engine or self.require_pool(), self.own_pool
        try:
            if own_pool is None:
                with engine.connect() as theirs:
                    return self.send_in_transaction(theirs, query, arguments, fetch)
            connection = own_pool.getconn()
            try:
                return self.send_on_pooled(engine, connection, query, arguments, fetch)
            finally:
                own_pool.putconn(connection)
        except self.errors as error:
            raise_connector_exception(error)


@lru_cache
def escape_percent(query: str) -> str:
    """Escape every ``%`` that is neither part of a placeholder nor escaped already, as of a schema."""
    return re.sub(r"%%|%(?![(s])", "%%", query)
