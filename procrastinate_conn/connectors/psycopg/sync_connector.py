"""The kind ``sync-psycopg``: psycopg 3, synchronous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import procrastinate
import psycopg
from procrastinate.exceptions import NoResult
from procrastinate.sync_psycopg_connector import wrap_exceptions
from psycopg.abc import AdaptContext
from psycopg.errors import Diagnostic
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from psycopg_pool import ConnectionPool

from procrastinate_conn.connectors.base import SyncConnector
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import SyncConnectionFactory
from procrastinate_conn.connectors.runtime.disconnects import SentQuery
from procrastinate_conn.connectors.runtime.json_arguments import wrap_json
from procrastinate_conn.connectors.runtime.pools import SyncPool
from procrastinate_conn.registry import ConnectorKind


class SyncPsycopgConnectionFactory(SyncConnectionFactory):
    """Makes psycopg's connections."""

    kind = ConnectorKind.SYNC_PSYCOPG

    def open_connection(self, conninfo: str) -> Any:
        """Return a connection in autocommit mode.

        procrastinate's queries are single statements, each of them a transaction by itself: BEGIN and
        COMMIT would be two round trips for nothing.
        """
        pool = self.config.pool
        connection_class: Any = pool.callback("connection_class", asynchronous=False) or psycopg.Connection
        try:
            connection = connection_class.connect(
                conninfo, autocommit=True, prepare_threshold=pool.prepare_threshold
            )
        except psycopg.OperationalError as error:
            error.args = (name_every_host(str(error), conninfo),)
            raise
        watch_notices(connection)
        return connection

    def discard(self, connection: Any) -> None:
        """Close a connection for good: with `close_returns`, `close` returns it to the pool."""
        connection.pgconn.finish()

    def ping(self, connection: Any) -> None:
        """Make a round trip."""
        ConnectionPool.check_connection(connection)


class SyncPsycopgConnector(SyncConnector["ConnectionPool[Any]"], procrastinate.SyncPsycopgConnector):
    """procrastinate's connector of that name, on a pool of ours."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._json = JsonAdapter(config)
        super().__init__(config)

    @property
    def pool(self) -> ConnectionPool[Any]:
        """The pool."""
        return self.require_pool()

    def make_connection_factory(self) -> SyncPsycopgConnectionFactory:
        """Return what makes the connections of a pool."""
        return SyncPsycopgConnectionFactory(self.config)

    def adapt_pool(self, pool: SyncPool) -> ConnectionPool[Any]:
        """Return the pool as it is."""
        return pool

    @staticmethod
    def fetch_one(cursor: psycopg.Cursor[dict[str, Any]]) -> dict[str, Any]:
        """Return the first row."""
        row = cursor.fetchone()
        if row is None:
            raise NoResult
        return row

    @wrap_exceptions()
    def send(self, query: Any, arguments: dict[str, Any], fetch: Any) -> Any:
        """Send a query once."""
        with (
            self.require_pool().connection() as connection,  # commits, and sends nothing in autocommit mode
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            self._json.adapt(cursor)
            with SentQuery(connection.info, query, cursor, arguments):
                cursor.execute(query, wrap_json(arguments, Jsonb))
            return fetch and fetch(cursor)


class JsonAdapter:
    """How psycopg writes and reads JSON for a connector."""

    def __init__(self, config: ConnectorConfig) -> None:
        self.dumps = config.json_dumps
        self.loads = None if config.json_loads is None else _from_text(config.json_loads)

    def adapt(self, context: AdaptContext) -> None:
        """Adapt a cursor, or another of psycopg's objects."""
        if self.dumps is not None:
            set_json_dumps(self.dumps, context)
        if self.loads is not None:
            set_json_loads(self.loads, context)


def _from_text(loads: Callable[[str], Any]) -> Callable[[str | bytes], Any]:
    """Give `loads` text, as the other drivers do; psycopg has bytes."""
    return lambda data: loads(data if isinstance(data, str) else data.decode())


def watch_notices(connection: Any) -> None:
    """Give a connection of psycopg's a `Liveness` that notices of its server end."""
    liveness = connection.liveness = Liveness()

    def note_termination(notice: Diagnostic) -> None:
        if notice.severity_nonlocalized in ("FATAL", "PANIC"):
            liveness.is_terminated = True

    connection.add_notice_handler(note_termination)
