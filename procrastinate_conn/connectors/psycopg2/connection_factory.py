"""psycopg2's connections, as psycopg_pool needs them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg
import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, ConnectionInfo, connection, cursor, make_dsn
from psycopg2.extras import RealDictCursor, register_default_json, register_default_jsonb

from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.connection_factory import SyncConnectionFactory


def repr_without_dsn(connection: connection) -> str:
    """Describe a connection without the DSN, of which psycopg2 hides the password, but no other secret."""
    return f"<{type(connection).__name__} at {id(connection):#x}; closed: {connection.closed}>"


class Notices(list[str]):
    """The notices of a connection, which SQLAlchemy clears after each query.

    One that ends the session, in a language that has the word, is noted in the connection's `Liveness`,
    unless `configure` replaces the notices.
    """

    def __init__(self, liveness: Liveness) -> None:
        super().__init__()
        self._liveness = liveness

    def append(self, notice: str) -> None:
        if notice.startswith(("FATAL", "PANIC")):
            self._liveness.is_terminated = True
        super().append(notice)


class Psycopg2ConnectionInfo(ConnectionInfo):
    """What psycopg2 knows of a connection, with the attribute that AWS X-Ray reads in any psycopg_pool."""

    @property
    def dsn(self) -> str:  # without the password, as in psycopg
        return make_dsn(**self.dsn_parameters)


class Psycopg2Connection(connection):
    """A connection of psycopg2's with what psycopg_pool uses of psycopg's."""

    __module__ = connection.__module__  # by which agents name the database's system

    liveness: Liveness
    pgconn = connection.info  # the object with a ``transaction_status``; the numbers are libpq's in both

    info = property(Psycopg2ConnectionInfo)

    def rollback(self) -> None:
        """Roll back, also a transaction that was begun with a BEGIN in autocommit mode."""
        super().rollback()
        if self.info.transaction_status != TRANSACTION_STATUS_IDLE:
            with self.cursor() as cursor:
                cursor.execute("ROLLBACK")

    __repr__ = __str__ = repr_without_dsn


class Psycopg2ConnectionFactory(SyncConnectionFactory):
    """Makes psycopg2's connections."""

    errors = (psycopg2.Error, psycopg.Error)
    environment = os.environ
    connection_class: ClassVar[type[Psycopg2Connection]] = Psycopg2Connection
    cursor_factory: ClassVar[type[cursor] | None] = RealDictCursor

    def open_connection(self, parameters: dict[str, str]) -> Psycopg2Connection:
        arguments: dict[str, Any] = dict(parameters)
        if "dbname" in arguments:  # agents look for the database by its older name
            arguments["database"] = arguments.pop("dbname")
        classes: Any = {"connection_factory": self.connection_class, "cursor_factory": self.cursor_factory}
        connection: Psycopg2Connection = psycopg2.connect(**arguments, **classes)
        connection.autocommit = True
        if self.cursor_factory is not None:
            require_cursor_class(connection, self.cursor_factory)
        return connection

    def adopt(self, connection: Psycopg2Connection) -> None:
        connection.liveness = Liveness()
        adopt_raw(connection, connection.liveness, self.config.json_loads)

    def ping(self, connection: Psycopg2Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def require_cursor_class(connection: connection, cursor_class: type[cursor]) -> None:
    """Let cursors be of a class also if an agent, as Pinpoint, has put its own in place of it."""
    agents = connection.cursor_factory
    if isinstance(agents, type) and not issubclass(agents, cursor_class):
        connection.cursor_factory = type(agents.__name__, (agents, cursor_class), {})


def adopt_raw(connection: connection, liveness: Liveness, loads: Callable[[str], Any] | None) -> None:
    """Let a connection of psycopg2's note its end, and read JSON with `loads` if it is set."""
    connection.notices = Notices(liveness)
    if loads is not None:
        register_default_json(connection, loads=loads)
        register_default_jsonb(connection, loads=loads)
