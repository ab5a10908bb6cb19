"""A SQLAlchemy engine whose connections are kept by psycopg_pool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy
from sqlalchemy.pool import NullPool

from procrastinate_conn.connectors.psycopg2.connection_factory import Psycopg2Connection
from procrastinate_conn.connectors.psycopg2.errors import pool_errors
from procrastinate_conn.connectors.runtime.pools import SyncPool


class PooledConnection(Psycopg2Connection):
    """A connection that goes back to its pool when SQLAlchemy closes it."""

    lender: SyncPool | None = None

    def close(self) -> None:
        """Go back to the pool; in the pool, close."""
        lender, self.lender = self.lender, None
        if _this_thread.lent is self:
            _this_thread.lent = None
        if lender is None:
            super().close()
            return
        try:
            if not self.closed:
                self.rollback()
                self.autocommit = True
        finally:  # whatever the server says: the pool has to know, or its place is lost
            lender.putconn(self)


class _ThisThread(threading.local):
    """What a thread was lent last, where it has not given it back."""

    lent: PooledConnection | None = None


_this_thread = _ThisThread()


def engine_on(pool: SyncPool) -> sqlalchemy.Engine:
    """Return an engine over a pool of `PooledConnection`.

    libpq's parameters do not go through SQLAlchemy's URL, which knows fewer of them and would show them.

    Parameters
    ----------
    pool
        The pool, open.
    """

    def lend() -> PooledConnection:
        with pool_errors():
            connection: PooledConnection = pool.getconn()
        connection.lender = pool
        _this_thread.lent = connection
        connection.autocommit = False
        return connection

    # Each checkout is a new connection to SQLAlchemy, for which it would look up hstore in the catalogue.
    arguments: dict[str, Any] = {"use_native_hstore": False}
    return sqlalchemy.create_engine("postgresql+psycopg2://", creator=lend, poolclass=NullPool, **arguments)


@contextmanager
def given_back_if_stranded() -> Iterator[None]:
    """Give the connection back that this thread was lent, where an engine fails to connect with it.

    SQLAlchemy before 2.1 lets go of one that is lost while it asks for the server's version, on its first
    connection, and the pool would never hear of it.
    """
    _this_thread.lent = None
    try:
        yield
    except BaseException:
        if _this_thread.lent is not None:
            with suppress(psycopg2.Error):  # the connection is lost
                _this_thread.lent.close()
        raise
    finally:
        _this_thread.lent = None


def autocommit(connection: sqlalchemy.Connection) -> None:
    """Put a connection of `engine_on`'s into autocommit mode until it is closed.

    SQLAlchemy's own ``isolation_level="AUTOCOMMIT"`` costs a round trip each time, since it goes back to the
    server's default by naming it.
    """
    driver_connection(connection).autocommit = True


def driver_connection(connection: sqlalchemy.Connection) -> Any:
    """Return the psycopg2 connection behind a connection of an engine's."""
    return connection.connection.driver_connection
