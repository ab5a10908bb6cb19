"""The kind ``sync-psycopg``: psycopg 3, synchronous."""

from __future__ import annotations

from typing import Any

import procrastinate
import psycopg
from psycopg_pool import ConnectionPool

from procrastinate_conn.connectors.blueprint import Blueprint
from procrastinate_conn.connectors.dialing import SyncDialler
from procrastinate_conn.connectors.lifecycle import SyncLifecycle
from procrastinate_conn.connectors.pools import SyncPool
from procrastinate_conn.kinds import ConnectorKind


class SyncPsycopgDialler(SyncDialler):
    """Dials psycopg's connections."""

    kind = ConnectorKind.SYNC_PSYCOPG

    def dial(self, conninfo: str) -> psycopg.Connection[Any]:
        """Return a connection in autocommit mode.

        procrastinate's queries are single statements, each of them a transaction by itself: BEGIN and
        COMMIT would be two round trips for nothing.
        """
        connection_class: Any = (
            self.blueprint.pool.callback("connection_class", asynchronous=False) or psycopg.Connection
        )
        connection: psycopg.Connection[Any] = connection_class.connect(conninfo, autocommit=True)
        return connection

    def ping(self, connection: psycopg.Connection[Any]) -> None:
        """Make a round trip."""
        ConnectionPool.check_connection(connection)


class SyncPsycopgConnector(SyncLifecycle["ConnectionPool[Any]"], procrastinate.SyncPsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours.

    Parameters
    ----------
    blueprint
        What it is built from.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        SyncLifecycle.__init__(self, blueprint)
        procrastinate.SyncPsycopgConnector.__init__(
            self, json_dumps=blueprint.json_dumps, json_loads=blueprint.json_loads
        )

    @property
    def pool(self) -> ConnectionPool[Any]:
        """The pool."""
        return self.held

    def dialler(self) -> SyncPsycopgDialler:
        """Return what dials connections."""
        return SyncPsycopgDialler(self.blueprint)

    def face(self, core: SyncPool) -> ConnectionPool[Any]:
        """Return the pool as it is: it is psycopg's already."""
        return core
