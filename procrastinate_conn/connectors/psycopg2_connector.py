"""The kind ``psycopg2``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from procrastinate.contrib import psycopg2 as contrib
from procrastinate.contrib.psycopg2.psycopg2_connector import wrap_exceptions
from psycopg2.extras import RealDictCursor
from psycopg2.pool import AbstractConnectionPool

from procrastinate_conn.connectors.blueprint import Blueprint
from procrastinate_conn.connectors.lifecycle import SyncLifecycle
from procrastinate_conn.connectors.pools import SyncPool
from procrastinate_conn.connectors.psycopg2_dialing import Psycopg2Dialler, adapted
from procrastinate_conn.connectors.psycopg2_pool import WaitingConnectionPool


class Psycopg2Connector(SyncLifecycle[AbstractConnectionPool], contrib.Psycopg2Connector):
    """procrastinate's connector of that name, on a pool of ours.

    procrastinate's own runs a query again if the server says goodbye during it. The query may have had its
    effect by then, so here the caller is told, and decides.

    Parameters
    ----------
    blueprint
        What it is built from.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        SyncLifecycle.__init__(self, blueprint)
        contrib.Psycopg2Connector.__init__(
            self, json_dumps=blueprint.json_dumps, json_loads=blueprint.json_loads
        )

    @property
    def pool(self) -> AbstractConnectionPool:
        """The pool."""
        return self.held

    def dialler(self) -> Psycopg2Dialler:
        """Return what dials connections, in autocommit mode for procrastinate's single statements."""
        return Psycopg2Dialler(self.blueprint, autocommit=True, cursor_factory=RealDictCursor)

    def face(self, core: SyncPool) -> AbstractConnectionPool:
        """Return a `psycopg2.pool.ThreadedConnectionPool`."""
        return WaitingConnectionPool(core)

    @wrap_exceptions()
    def execute_query(self, query: str, **arguments: Any) -> None:
        """Execute a query."""
        with self._executed(query, arguments):
            pass

    @wrap_exceptions()
    def execute_query_one(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        with self._executed(query, arguments) as cursor:
            row: dict[str, Any] = cursor.fetchone()
            return row

    @wrap_exceptions()
    def execute_query_all(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        with self._executed(query, arguments) as cursor:
            rows: list[dict[str, Any]] = cursor.fetchall()
            return rows

    @contextmanager
    def _executed(self, query: str, arguments: dict[str, Any]) -> Iterator[Any]:
        pool = self.pool
        connection = pool.getconn()
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, adapted(arguments, self.json_dumps))
                yield cursor
            connection.commit()  # for the caller's pool; on one in autocommit mode it sends nothing
        finally:
            pool.putconn(connection)  # which rolls back, or drops a connection that is lost
