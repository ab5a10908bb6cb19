"""A SQLAlchemy engine whose connections are kept by psycopg_pool."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.pool import NullPool

from procrastinate_conn.connectors.pool_errors import pool_errors
from procrastinate_conn.connectors.pools import SyncPool
from procrastinate_conn.connectors.psycopg2_dialing import Psycopg2Connection


class LentConnection(Psycopg2Connection):
    """A connection that goes back to its pool when SQLAlchemy closes it."""

    lender: SyncPool | None = None

    def close(self) -> None:
        """Go back to the pool; in the pool, close."""
        lender, self.lender = self.lender, None
        if lender is None:
            super().close()
            return
        try:
            if not self.closed:
                self.rollback()
                self.autocommit = True
        finally:  # whatever the server says: the pool has to know, or its place is lost
            lender.putconn(self)


def engine_on(core: SyncPool) -> sqlalchemy.Engine:
    """Return an engine over a pool of `LentConnection`.

    libpq's parameters do not go through SQLAlchemy's URL, which knows fewer of them and would show them.

    Parameters
    ----------
    core
        The pool, open.
    """

    def lend() -> LentConnection:
        with pool_errors():
            connection: LentConnection = core.getconn()
        connection.lender = core
        connection.autocommit = False
        return connection

    # Each checkout is a new connection to SQLAlchemy, for which it would look up hstore in the catalogue.
    arguments: dict[str, Any] = {"use_native_hstore": False}
    return sqlalchemy.create_engine("postgresql+psycopg2://", creator=lend, poolclass=NullPool, **arguments)


def autocommit(connection: sqlalchemy.Connection) -> None:
    """Put a connection of `engine_on`'s into autocommit mode until it is closed.

    SQLAlchemy's own ``isolation_level="AUTOCOMMIT"`` costs a round trip each time, since it goes back to the
    server's default by naming it.
    """
    driver_connection(connection).autocommit = True


def driver_connection(connection: sqlalchemy.Connection) -> Any:
    """Return the psycopg2 connection behind a connection of an engine's."""
    return connection.connection.driver_connection
