"""The contenders: procrastinate's connectors written by hand, and ours, both with default options."""

from __future__ import annotations

from procrastinate import PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.contrib.aiopg import AiopgConnector
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector

from procrastinate_conn import ConnectorKind, make_connector
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY

BY_HAND, OURS, LIMIT, RAW, ON_PSYCOPG = "by hand", "ours", "limit", "raw driver", "psycopg kind"
"""The contenders. The limit is the same SQL on open psycopg connections in autocommit mode; the raw driver is
the same on connections of the kind's own driver, if that is not psycopg. The psycopg kind is another of ours,
in place of the connector by hand if procrastinate has no class."""


def by_hand(kind: ConnectorKind, dsn: str, connections: int | None = None) -> BaseConnector | None:
    """Return a connector as in procrastinate's documentation; None if procrastinate has no class.

    It has a number of connections, or its default.
    """
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
        case _:
            return None


def ours(kind: ConnectorKind, dsn: str, connections: int | None = None) -> BaseConnector:
    """Return the connector of `make_connector` for the same arguments."""
    pool = {"min_size": connections} if connections else None
    return make_connector(kind, dsn=dsn, pool=pool, env_file=None)


def on_psycopg(kind: ConnectorKind) -> ConnectorKind:
    """Return the kind on psycopg alone that is asynchronous if `kind` is."""
    return DEFAULT_KIND if REGISTRY[kind].asynchronous else ConnectorKind.SYNC_PSYCOPG
