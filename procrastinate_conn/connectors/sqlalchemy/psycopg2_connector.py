"""The kind ``sqlalchemy-psycopg2``: a SQLAlchemy engine on psycopg2."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from procrastinate.contrib import sqlalchemy as contrib
from psycopg2.extras import Json, register_default_json, register_default_jsonb
from sqlalchemy.exc import SQLAlchemyError

from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg2.connection_factory import (
    Psycopg2Connection,
    Psycopg2ConnectionFactory,
)
from procrastinate_conn.connectors.psycopg2.pool_adapter import pool_errors
from procrastinate_conn.connectors.runtime.steps import run
from procrastinate_conn.connectors.sqlalchemy.engine import Driver, PooledConnection, SyncEngineConnector


class PooledPsycopg2Connection(PooledConnection, Psycopg2Connection):
    """A connection of psycopg2's that goes back to its pool when an engine closes it."""

    __module__ = Psycopg2Connection.__module__

    def close(self) -> None:
        run(self.go_back(super().close))

    def set_autocommit(self, value: bool) -> None:
        self.autocommit = value


class PooledPsycopg2ConnectionFactory(Psycopg2ConnectionFactory):
    """Makes psycopg2's connections for an engine, which has cursors of its own."""

    connection_class = PooledPsycopg2Connection
    cursor_factory = None

    def adopt(self, connection: Any) -> None:
        super().adopt(connection)
        connection.as_opened = weakref.ref(connection)


class Psycopg2Driver(Driver):
    """psycopg2 under an engine."""

    is_extended = False

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self.json = partial(Json, dumps=config.write_json)

    def adapt(self, cursor: Any) -> None:
        for register in (register_default_json, register_default_jsonb):
            register(cursor, loads=self.config.json_loads)


class SQLAlchemyPsycopg2Connector(SyncEngineConnector, contrib.SQLAlchemyPsycopg2Connector):
    """procrastinate's connector of that name, on an engine of ours.

    procrastinate's own runs a query again whenever its connection is lost; see `disconnects` for when it is
    safe.
    """

    driver_classes = (("psycopg2", Psycopg2Driver),)
    connection_factory = PooledPsycopg2ConnectionFactory
    errors = (SQLAlchemyError, *PooledPsycopg2ConnectionFactory.errors)
    pool_errors = staticmethod(pool_errors)
