"""The kind ``sqlalchemy-psycopg``: a SQLAlchemy engine on psycopg 3."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from psycopg.types.json import Jsonb
from sqlalchemy.exc import SQLAlchemyError

from procrastinate_conn.connectors.base import WithoutClass
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg.connection_factory import SyncPsycopgConnectionFactory
from procrastinate_conn.connectors.psycopg.connector import JsonAdapter
from procrastinate_conn.connectors.runtime.steps import run
from procrastinate_conn.connectors.sqlalchemy.engine import Driver, PooledConnection, SyncEngineConnector


class NoticeHandlers:
    """A part of the class of a connection that has each handler of notices once.

    SQLAlchemy adds its own at each checkout, and never removes it.
    """

    def add_notice_handler(self, callback: Callable[[Diagnostic], None]) -> None:
        driver: Any = super()
        with suppress(ValueError):  # it is new
            driver.remove_notice_handler(callback)
        driver.add_notice_handler(callback)


class PooledPsycopgConnection(NoticeHandlers, PooledConnection, psycopg.Connection[Any]):
    """A connection of psycopg's that goes back to its pool when an engine closes it."""

    __module__ = psycopg.Connection.__module__  # by which agents name the database's system

    def close(self) -> None:
        run(self.go_back(super().close))


class PooledPsycopgConnectionFactory(SyncPsycopgConnectionFactory):
    """Makes psycopg's connections for an engine, with the connector's JSON."""

    default_class = PooledPsycopgConnection

    def adopt(self, connection: Any) -> None:
        super().adopt(connection)
        connection.as_opened = weakref.ref(connection)
        JsonAdapter(self.config).adapt(connection)


class PsycopgDriver(Driver):
    """psycopg under an engine."""

    is_extended = True

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self.json = partial(Jsonb, dumps=config.json_dumps)
        self.adapt = JsonAdapter(config).adapt


class SQLAlchemyPsycopgConnector(SyncEngineConnector, WithoutClass):
    """A synchronous connector on a SQLAlchemy engine over psycopg 3, of which procrastinate has none."""

    driver_classes = (("psycopg", PsycopgDriver),)
    connection_factory = PooledPsycopgConnectionFactory
    errors = (SQLAlchemyError, psycopg.Error)
