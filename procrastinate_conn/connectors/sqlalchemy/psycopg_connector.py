"""The kind ``sqlalchemy-psycopg``: a SQLAlchemy engine on psycopg 3."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from sqlalchemy.exc import SQLAlchemyError

from procrastinate_conn.connectors.base import WithoutClass
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.psycopg.connection_factory import SyncPsycopgConnectionFactory
from procrastinate_conn.connectors.psycopg.connector import JsonAdapter
from procrastinate_conn.connectors.runtime.steps import run
from procrastinate_conn.connectors.sqlalchemy.engine import (
    Driver,
    PooledConnection,
    SyncEngineConnector,
    escape_percent,
)


def add_notice_handler_once(connection: Any, callback: Callable[[Diagnostic], None]) -> None:
    """Add a handler of notices unless the connection has it: SQLAlchemy adds its own at each checkout."""
    with suppress(ValueError):  # it is new
        connection.remove_notice_handler(callback)
    connection.add_notice_handler(callback)


class PooledPsycopgConnection(psycopg.Connection[Any], PooledConnection):
    """A connection of psycopg's that goes back to its pool when an engine closes it."""

    __module__ = psycopg.Connection.__module__  # by which agents name the database's system

    def add_notice_handler(self, callback: Callable[[Diagnostic], None]) -> None:
        add_notice_handler_once(super(), callback)

    def close(self) -> None:
        run(self.go_back(super().close))


def require_class(connection: Any, connection_class: type) -> None:
    """Let a connection be of a class also if an agent, as SkyWalking, has made one of psycopg's own.

    Python allows it only if psycopg's is the first of its bases.
    """
    inspect.unwrap(connection).__class__ = connection_class


class PooledPsycopgConnectionFactory(SyncPsycopgConnectionFactory):
    """Makes psycopg's connections for an engine, with the connector's JSON."""

    default_class = PooledPsycopgConnection

    def adopt(self, connection: Any) -> None:
        super().adopt(connection)
        require_class(connection, self.default_class)
        connection.as_opened = weakref.ref(connection)
        JsonAdapter(self.config).adapt(connection)


class PsycopgDriver(Driver):
    """psycopg under an engine."""

    is_extended = True

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config)
        self._json = JsonAdapter(config)
        self.adapt = self._json.adapt

    def statement(self, query: str, arguments: dict[str, Any], connection: Any) -> tuple[str, Any]:
        # SQLAlchemy's connection of an asynchronous driver has the driver's.
        driver_connection = getattr(connection, "driver_connection", connection)
        return escape_percent(query), self._json.arguments(query, arguments, driver_connection)


class SQLAlchemyPsycopgConnector(SyncEngineConnector, WithoutClass):
    """A synchronous connector on a SQLAlchemy engine over psycopg 3, of which procrastinate has none."""

    driver_classes = (("psycopg", PsycopgDriver),)
    connection_factory = PooledPsycopgConnectionFactory
    errors = (SQLAlchemyError, psycopg.Error)
