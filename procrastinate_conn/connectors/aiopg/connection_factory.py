"""Making aiopg's connections."""

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
from procrastinate_conn.connectors.psycopg2.connection_factory import Notices, register_json_loads
from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.connect_errors import name_every_host
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory
from procrastinate_conn.registry import ConnectorKind


class AiopgConnectionFactory(AsyncConnectionFactory):
    """Makes aiopg's connections."""

    kind = ConnectorKind.AIOPG
    errors = (psycopg2.Error, psycopg.Error)

    def fileno(self, connection: AiopgConnection) -> int:
        descriptor: int = connection.raw.fileno()
        return descriptor

    def should_ping(self, connection: AiopgConnection) -> bool:
        """Read the notices that came with the last result, and tell whether to ping the connection."""
        connection.raw.poll()
        return super().should_ping(connection)

    def abort(self, connection: AiopgConnection) -> None:
        connection.raw.is_forgotten = True
        connection.raw.close()

    async def open_connection(self, conninfo: str) -> AiopgConnection:
        """Return a connection; if there is none, the error names each host with its reason."""
        try:
            return await self._open_first(conninfo)
        except (psycopg.OperationalError, psycopg2.OperationalError) as error:
            error.args = (await asyncio.to_thread(name_every_host, str(error), conninfo),)
            raise

    async def _open_first(self, conninfo: str) -> AiopgConnection:
        """Return a connection to the first address that accepts one.

        The addresses are tried one by one, as psycopg does: libpq would go on to the next one on another
        socket, which aiopg does not notice, and without regard to `connect_timeout`.
        """
        parameters = conninfo_to_dict(conninfo)
        timeout = timeout_from_conninfo(parameters)
        failures = []
        for attempt in await conninfo_attempts_async(parameters):
            try:
                async with asyncio.timeout(timeout):
                    return await self._open_one(make_conninfo("", **attempt))
            except TimeoutError:
                failures.append(f"{_target(attempt)} failed: no answer within {timeout} s")
            except psycopg2.OperationalError as error:
                failures.append(f"{_target(attempt)} failed: {str(error).strip()}")
        raise psycopg2.OperationalError("\n".join(failures))

    async def _open_one(self, conninfo: str) -> AiopgConnection:
        """Return a connection to one address, without aiopg's look-up of types: they are not used here."""
        raw = BufferedConnection(conninfo, async_=1)
        try:
            await raw.wait_until_open()
            connection = AiopgConnection(
                conninfo,
                TIMEOUT,
                enable_json=False,
                enable_hstore=False,
                enable_uuid=False,
                connection_factory=lambda *_: raw,
                cursor_factory=RealDictCursor,
            )
            raw.is_adopted = True
            await connection
        except BaseException:
            raw.close()
            raise
        connection.liveness = Liveness()
        raw.notices = Notices(connection.liveness)
        register_json_loads(self.config.json_loads, raw)
        return connection

    async def ping(self, connection: AiopgConnection) -> None:
        await self.execute(connection, "SELECT 1")

    async def execute(self, connection: AiopgConnection, statement: str) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)

    async def notifications(self, connection: AiopgConnection, seconds: float) -> AsyncGenerator[Notify]:
        """Yield notifications, until there has been none for so many seconds."""
        connection.raw.poll()  # which takes those that libpq has read together with a result
        while connection.raw.notifies:
            yield connection.raw.notifies.pop(0)
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(seconds):
                    notification = await connection.notifies.get()
                yield notification


def _target(attempt: ConnMapping) -> str:
    """Return the address of an attempt to connect, which psycopg2 does not name if it is asynchronous."""
    return f"connection to {attempt.get('host') or attempt.get('hostaddr')}, port {attempt.get('port')}"
