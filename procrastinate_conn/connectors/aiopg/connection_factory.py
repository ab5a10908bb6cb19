"""How aiopg's connections are dialled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import psycopg
import psycopg2
from aiopg.connection import TIMEOUT
from psycopg.abc import ConnMapping

# Two of them are not documented; every test of aiopg notices if they go.
from psycopg.conninfo import (
    conninfo_attempts_async,
    conninfo_to_dict,
    make_conninfo,
    timeout_from_conninfo,
)
from psycopg2.extensions import Notify
from psycopg2.extras import RealDictCursor

from procrastinate_conn.connectors.aiopg.connection import AiopgConnection, BufferedConnection
from procrastinate_conn.connectors.psycopg2.connection_factory import Notices, read_json_with
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory
from procrastinate_conn.registry import ConnectorKind


class AiopgConnectionFactory(AsyncConnectionFactory):
    """Dials aiopg's connections."""

    kind = ConnectorKind.AIOPG
    errors = (psycopg2.Error, psycopg.Error)

    def fileno(self, connection: AiopgConnection) -> int:
        """Return the descriptor of a connection's socket."""
        descriptor: int = connection.raw.fileno()
        return descriptor

    def is_terminated(self, connection: AiopgConnection) -> bool:
        """Tell whether there is a farewell among the notices; `poll` takes those that came with an answer.

        Raises
        ------
        psycopg2.Error
            The connection is lost.
        """
        connection.raw.poll()
        return super().is_terminated(connection)

    async def open_connection(self, conninfo: str) -> AiopgConnection:
        """Return a connection, which aiopg always has in autocommit mode.

        Raises
        ------
        psycopg.OperationalError, psycopg2.OperationalError
            No host could be connected to; the message names each with its reason.
        """
        try:
            return await self._open_first(conninfo)
        except (psycopg.OperationalError, psycopg2.OperationalError) as error:
            error.args = (await asyncio.to_thread(name_every_host, str(error), conninfo),)
            raise

    async def _open_first(self, conninfo: str) -> AiopgConnection:
        """Return a connection to the first address that takes one.

        The addresses are tried one by one, as psycopg does: libpq would go on to the next one on another
        socket, which aiopg does not notice, and without an eye on `connect_timeout`.
        """
        parameters = conninfo_to_dict(conninfo)
        limit = timeout_from_conninfo(parameters)
        failures = []
        for attempt in await conninfo_attempts_async(parameters):
            try:
                async with asyncio.timeout(limit):
                    return await self._open_one(make_conninfo("", **attempt))
            except TimeoutError:
                failures.append(f"{_to(attempt)} failed: no answer within {limit} s")
            except psycopg2.OperationalError as error:
                failures.append(f"{_to(attempt)} failed: {str(error).strip()}")
        raise psycopg2.OperationalError("\n".join(failures))

    async def _open_one(self, conninfo: str) -> AiopgConnection:
        """Return a connection to one address; nothing is looked up on the server.

        The types that aiopg knows besides are not used here.
        """
        raw = BufferedConnection(conninfo, async_=1)
        try:
            await raw.made()
            dialled = AiopgConnection(
                conninfo,
                TIMEOUT,
                enable_json=False,
                enable_hstore=False,
                enable_uuid=False,
                connection_factory=lambda *_: raw,
                cursor_factory=RealDictCursor,
            )
            raw.adopted = True
            await dialled
        except BaseException:
            raw.close()
            raise
        raw.notices = Notices(dialled, self.terminated)
        read_json_with(self.config.json_loads, dialled.raw)
        return dialled

    async def ping(self, connection: AiopgConnection) -> None:
        """Make a round trip."""
        await self.execute(connection, "SELECT 1")

    async def execute(self, connection: AiopgConnection, statement: str) -> None:
        """Execute a statement that has no arguments."""
        async with connection.cursor() as cursor:
            await cursor.execute(statement)

    async def notifications(self, connection: AiopgConnection, seconds: float) -> AsyncGenerator[Notify]:
        """Yield what the server notifies, until it has been silent for so many seconds."""
        connection.raw.poll()  # which takes what libpq has read together with an answer
        while connection.raw.notifies:
            yield connection.raw.notifies.pop(0)
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(seconds):
                    notification = await connection.notifies.get()
                yield notification


def _to(attempt: ConnMapping) -> str:
    """Return where an attempt to connect goes, which psycopg2 does not say of asynchronous ones."""
    return f"connection to {attempt.get('host') or attempt.get('hostaddr')}, port {attempt.get('port')}"
