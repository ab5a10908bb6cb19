"""The contenders: procrastinate's connectors written by hand, and ours, both with default options."""

from __future__ import annotations

from procrastinate import PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.contrib.aiopg import AiopgConnector
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector

from procrastinate_conn import ConnectorKind, make_connector

BY_HAND, OURS, LIMIT, RAW = "by hand", "ours", "limit", "raw driver"
"""The contenders. The limit is the same SQL on open psycopg connections in autocommit mode; the raw driver is
the same on connections of the kind's own driver, if that is not psycopg."""


def by_hand(kind: ConnectorKind, dsn: str, connections: int | None = None) -> BaseConnector:
    """Return a connector as in procrastinate's documentation, with a number of connections or its default."""
    match kind:
        case ConnectorKind.PSYCOPG:
            return PsycopgConnector(conninfo=dsn, **({"min_size": connections} if connections else {}))
        case ConnectorKind.SYNC_PSYCOPG:
            return SyncPsycopgConnector(conninfo=dsn, **({"min_size": connections} if connections else {}))
        case ConnectorKind.PSYCOPG2:
            size = {"minconn": connections, "maxconn": connections} if connections else {}
            return Psycopg2Connector(dsn=dsn, **size)
        case ConnectorKind.SQLALCHEMY_PSYCOPG2:
            url = dsn.replace("postgresql:", "postgresql+psycopg2:", 1)
            return SQLAlchemyPsycopg2Connector(dsn=url, **({"pool_size": connections} if connections else {}))
        case ConnectorKind.AIOPG:
            size = {"minsize": connections, "maxsize": connections} if connections else {}
            return AiopgConnector(dsn=dsn, **size)


def ours(kind: ConnectorKind, dsn: str, connections: int | None = None) -> BaseConnector:
    """Return the connector of `make_connector` for the same arguments."""
    pool = {"min_size": connections} if connections else None
    return make_connector(kind, dsn=dsn, pool=pool, env_file=None)
