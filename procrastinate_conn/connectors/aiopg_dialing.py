"""aiopg's connections, made fit for psycopg_pool."""

from __future__ import annotations

import aiopg
from aiopg.connection import TIMEOUT
from psycopg2.extensions import ConnectionInfo
from psycopg2.extras import RealDictCursor

from procrastinate_conn.connectors.dialing import AsyncDialler
from procrastinate_conn.connectors.psycopg2_dialing import read_json_with
from procrastinate_conn.kinds import ConnectorKind


class AiopgConnection(aiopg.Connection):
    """A connection of aiopg's that psycopg_pool takes for one of psycopg's."""

    @property
    def pgconn(self) -> ConnectionInfo:
        """What psycopg_pool reads ``transaction_status`` from; the numbers are libpq's in both."""
        info: ConnectionInfo = self.raw.info
        return info


class AiopgDialler(AsyncDialler):
    """Dials aiopg's connections."""

    kind = ConnectorKind.AIOPG

    def fileno(self, connection: AiopgConnection) -> int:
        """Return the descriptor of a connection's socket."""
        descriptor: int = connection.raw.fileno()
        return descriptor

    async def dial(self, conninfo: str) -> AiopgConnection:
        """Return a connection, which aiopg always has in autocommit mode.

        Nothing is looked up on the server: the types that aiopg knows besides are not used here.
        """
        dialled = AiopgConnection(
            conninfo,
            TIMEOUT,
            enable_json=False,
            enable_hstore=False,
            enable_uuid=False,
            cursor_factory=RealDictCursor,
        )
        await dialled
        read_json_with(self.blueprint.json_loads, dialled.raw)
        return dialled

    async def ping(self, connection: AiopgConnection) -> None:
        """Make a round trip."""
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
