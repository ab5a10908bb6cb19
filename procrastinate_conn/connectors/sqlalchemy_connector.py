"""The kind ``sqlalchemy-psycopg2``: a SQLAlchemy engine on psycopg2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from procrastinate.contrib import sqlalchemy as contrib
from procrastinate.contrib.sqlalchemy.psycopg2_connector import PERCENT_PATTERN, wrap_exceptions

from procrastinate_conn.connectors.blueprint import Blueprint
from procrastinate_conn.connectors.lifecycle import SyncLifecycle
from procrastinate_conn.connectors.pools import SyncPool
from procrastinate_conn.connectors.psycopg2_dialing import Psycopg2Dialler, adapted
from procrastinate_conn.connectors.sqlalchemy_engine import LentConnection, autocommit, engine_on


class SQLAlchemyPsycopg2Connector(SyncLifecycle[sqlalchemy.Engine], contrib.SQLAlchemyPsycopg2Connector):
    """procrastinate's connector of that name, on an engine of ours.

    procrastinate's own runs a query again if the connection is lost during it. The query may have had its
    effect by then, so here the caller is told, and decides.

    Parameters
    ----------
    blueprint
        What it is built from.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        SyncLifecycle.__init__(self, blueprint)
        contrib.SQLAlchemyPsycopg2Connector.__init__(
            self, json_dumps=blueprint.json_dumps, json_loads=blueprint.json_loads
        )

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine; it has transactions as any engine has, only procrastinate's queries go without."""
        return self.held

    def dialler(self) -> Psycopg2Dialler:
        """Return what dials connections."""
        return Psycopg2Dialler(self.blueprint, autocommit=False, connection_class=LentConnection)

    def face(self, core: SyncPool) -> sqlalchemy.Engine:
        """Return an engine."""
        return engine_on(core)

    @wrap_exceptions()
    def execute_query(self, query: str, **arguments: Any) -> None:
        """Execute a query."""
        with self._executed(query, arguments):
            pass

    @wrap_exceptions()
    def execute_query_one(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Execute a query and return its first row."""
        return self._rows(query, arguments)[0]

    @wrap_exceptions()
    def execute_query_all(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Execute a query and return its rows."""
        return self._rows(query, arguments)

    def _rows(self, query: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        with self._executed(query, arguments) as result:
            return [dict(row) for row in result.mappings()]

    @contextmanager
    def _executed(self, query: str, arguments: dict[str, Any]) -> Iterator[sqlalchemy.CursorResult[Any]]:
        with self.engine.begin() as connection:  # which sends nothing before the first statement
            if self.core is not None:  # an engine of the caller's keeps its transactions
                autocommit(connection)
            yield connection.exec_driver_sql(
                PERCENT_PATTERN.sub("%%", query), adapted(arguments, self.json_dumps)
            )
