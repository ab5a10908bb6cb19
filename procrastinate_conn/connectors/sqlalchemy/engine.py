"""A SQLAlchemy engine whose connections are kept by psycopg_pool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy
from sqlalchemy.pool import NullPool

from procrastinate_conn.connectors.psycopg2.connection_factory import (
    Psycopg2Connection,
    Psycopg2ConnectionFactory,
)
from procrastinate_conn.connectors.psycopg2.pool_adapter import pool_errors
from procrastinate_conn.connectors.runtime.pools import SyncPool


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
        with pool_errors():
            connection: PooledConnection = pool.getconn()
        connection.pool = pool
        _this_thread.acquired = connection
        connection.autocommit = False
        return connection

    # Each checkout is a new connection to SQLAlchemy, for which it would look up hstore in the catalogue.
    arguments: dict[str, Any] = {"use_native_hstore": False}
    return sqlalchemy.create_engine(
        "postgresql+psycopg2://", creator=creator, poolclass=NullPool, **arguments
    )


@contextmanager
def returned_if_connecting_fails() -> Iterator[None]:
    """Return the connection that this thread has acquired, if an engine fails to connect with it.

    SQLAlchemy before 2.1 drops one that is lost while it asks for the server's version, on its first
    connection, and the pool would lose a slot.
    """
    _this_thread.acquired = None
    try:
        yield
    except BaseException:
        if _this_thread.acquired is not None:
            with suppress(psycopg2.Error):  # the connection is lost
                _this_thread.acquired.close()
        raise
    finally:
        _this_thread.acquired = None


def set_autocommit(connection: sqlalchemy.Connection) -> None:
    """Put a connection of `make_engine`'s into autocommit mode until it is closed.

    SQLAlchemy's own ``isolation_level="AUTOCOMMIT"`` costs a round trip each time, since it goes back to the
    server's default by naming it.
    """
    driver_connection(connection).autocommit = True


def driver_connection(connection: sqlalchemy.Connection) -> Any:
    """Return the psycopg2 connection behind a connection of an engine's."""
    return connection.connection.driver_connection
