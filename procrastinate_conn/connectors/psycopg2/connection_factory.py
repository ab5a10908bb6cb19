"""psycopg2's connections, made fit for psycopg_pool."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg2
from psycopg2.extensions import (
    TRANSACTION_STATUS_INERROR,
    TRANSACTION_STATUS_INTRANS,
    ConnectionInfo,
    connection,
    cursor,
)
from psycopg2.extras import register_default_json, register_default_jsonb

from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime.connection_factory import SyncConnectionFactory
from procrastinate_conn.registry import ConnectorKind

if TYPE_CHECKING:
    from weakref import WeakSet


def without_secrets(connection: connection) -> str:
    """Describe a connection without the DSN, of which psycopg2 hides the password, but no other secret."""
    return f"<{type(connection).__name__} at {id(connection):#x}; closed: {connection.closed}>"


class Notices(list[str]):
    """The notices of a connection, which SQLAlchemy clears after each query.

    Parameters
    ----------
    of
        The connection, or what stands for it in the pool.
    ended
        What it is added to once its server says farewell, in a language that has the word. Where `configure`
        replaces the notices, nobody hears it.
    """

    def __init__(self, of: object, ended: WeakSet[Any]) -> None:
        super().__init__()
        self._of = weakref.ref(of)
        self._ended = ended

    def append(self, notice: str) -> None:
        """Take a notice from psycopg2."""
        of = self._of()
        if notice.startswith(("FATAL", "PANIC")) and of is not None:
            self._ended.add(of)
        super().append(notice)


class Psycopg2Connection(connection):
    """A connection of psycopg2's that psycopg_pool takes for one of psycopg's."""

    @property
    def pgconn(self) -> ConnectionInfo:
        """What psycopg_pool reads ``transaction_status`` from; the numbers are libpq's in both."""
        return self.info

    def rollback(self) -> None:
        """Roll back, also a transaction that was begun with a BEGIN in autocommit mode."""
        super().rollback()
        if self.info.transaction_status in (TRANSACTION_STATUS_INTRANS, TRANSACTION_STATUS_INERROR):
            with self.cursor() as cursor:
                cursor.execute("ROLLBACK")

    __repr__ = __str__ = without_secrets


class Psycopg2ConnectionFactory(SyncConnectionFactory):
    """Dials psycopg2's connections.

    Parameters
    ----------
    config
        Where to connect, and as whom.
    connection_class
        Their class.
    cursor_factory
        The class of their cursors.
    """

    kind = ConnectorKind.PSYCOPG2
    errors = (psycopg2.Error, psycopg.Error)

    def __init__(
        self,
        config: ConnectorConfig,
        connection_class: type[Psycopg2Connection] = Psycopg2Connection,
        cursor_factory: type[cursor] | None = None,
    ) -> None:
        super().__init__(config)
        self.connection_class = connection_class
        self.cursor_factory = cursor_factory

    def open_connection(self, conninfo: str) -> Psycopg2Connection:
        """Return a connection in autocommit mode, since procrastinate's queries are single statements."""
        dialled = psycopg2.connect(
            conninfo, connection_factory=self.connection_class, cursor_factory=self.cursor_factory
        )
        dialled.autocommit = True
        dialled.notices = Notices(dialled, self.terminated)
        read_json_with(self.config.json_loads, dialled)
        return dialled

    def ping(self, connection: Psycopg2Connection) -> None:
        """Make a round trip."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def read_json_with(loads: Callable[[str], Any] | None, connection: connection) -> None:
    """Let a connection of psycopg2's read JSON with `loads`, where there is one."""
    if loads is not None:
        register_default_json(connection, loads=loads)
        register_default_jsonb(connection, loads=loads)
