"""aiopg's connections, made fit for psycopg_pool."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiopg
import psycopg2
from aiopg.connection import TIMEOUT
from psycopg.abc import ConnMapping
from psycopg.conninfo import (
    conninfo_attempts_async,
    conninfo_to_dict,
    make_conninfo,
    timeout_from_conninfo,
)
from psycopg2.extensions import POLL_OK, POLL_READ, ConnectionInfo
from psycopg2.extras import RealDictCursor

from procrastinate_conn.connectors.dialing import AsyncDialler
from procrastinate_conn.connectors.liveness import has_something_to_say
from procrastinate_conn.connectors.psycopg2_dialing import read_json_with
from procrastinate_conn.kinds import ConnectorKind


class PatientConnection(psycopg2.extensions.connection):
    """A connection of psycopg2's that can be told to read no further than to the end of an answer.

    aiopg reads whenever there is something to read. If that is the end of the connection, an answer that was
    received and not fetched yet would be lost with it.
    """

    patient = False
    answered = False

    def poll(self) -> int:
        """Read what there is, unless an answer is waiting."""
        if self.patient and self.answered:
            return POLL_OK
        asked = self.isexecuting()
        state: int = super().poll()
        while state == POLL_READ and has_something_to_say(self.fileno()):
            # The farewell is read, and the end of the connection behind it is not. aiopg would wait to be
            # called again; but of a connection that was reset, uvloop tells once.
            state = super().poll()
        self.answered = asked and state == POLL_OK
        return state


@contextmanager
def answer_kept(connection: AiopgConnection) -> Iterator[None]:
    """Execute a query and fetch its answer in here."""
    raw: PatientConnection = connection.raw
    raw.patient, raw.answered = True, False
    try:
        yield
    finally:
        raw.patient = False


class AiopgConnection(aiopg.Connection):
    """A connection of aiopg's that psycopg_pool takes for one of psycopg's."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._process_id = os.getpid()
        super().__init__(*arguments, **keywords)

    def __del__(self) -> None:
        if self._process_id == os.getpid():  # a child would say goodbye in the name of its parent
            super().__del__()

    @property
    def pgconn(self) -> ConnectionInfo:
        """What psycopg_pool reads ``transaction_status`` from; the numbers are libpq's in both."""
        info: ConnectionInfo = self.raw.info
        return info

    async def rollback(self) -> None:
        """Roll back, which aiopg leaves to the application."""
        async with self.cursor() as cursor:
            await cursor.execute("ROLLBACK")


class AiopgDialler(AsyncDialler):
    """Dials aiopg's connections."""

    kind = ConnectorKind.AIOPG

    def fileno(self, connection: AiopgConnection) -> int:
        """Return the descriptor of a connection's socket."""
        descriptor: int = connection.raw.fileno()
        return descriptor

    def idles(self, connection: AiopgConnection) -> None:
        """Note that a connection is idle, and forget the notices of its last use."""
        connection.raw.notices.clear()
        super().idles(connection)

    def vouches_for(self, connection: AiopgConnection) -> bool:
        """Tell whether a connection is alive without asking it.

        The event loop reads from a connection of aiopg's while it is idle too: what the server has said by
        then, its farewell for one, is no longer in the socket but among the notices.
        """
        return not connection.raw.notices and super().vouches_for(connection)

    async def dial(self, conninfo: str) -> AiopgConnection:
        """Return a connection, which aiopg always has in autocommit mode.

        The addresses are tried one by one, as psycopg does: libpq would go on to the next one on another
        socket, which aiopg does not notice, and without an eye on `connect_timeout`.

        Raises
        ------
        psycopg2.OperationalError
            No address could be connected to; the message names each with its reason.
        """
        parameters = conninfo_to_dict(conninfo)
        limit = timeout_from_conninfo(parameters)
        failures = []
        for attempt in await conninfo_attempts_async(parameters):
            try:
                async with asyncio.timeout(limit):
                    return await self._dial_one(make_conninfo("", **attempt))
            except TimeoutError:
                failures.append(f"{_to(attempt)} failed: no answer within {limit} s")
            except psycopg2.OperationalError as error:
                failures.append(f"{_to(attempt)} failed: {str(error).strip()}")
        raise psycopg2.OperationalError("\n".join(failures))

    async def _dial_one(self, conninfo: str) -> AiopgConnection:
        """Return a connection to one address; nothing is looked up on the server.

        The types that aiopg knows besides are not used here.
        """
        dialled = AiopgConnection(
            conninfo,
            TIMEOUT,
            enable_json=False,
            enable_hstore=False,
            enable_uuid=False,
            connection_factory=PatientConnection,
            cursor_factory=RealDictCursor,
        )
        try:
            await dialled
        except BaseException:
            dialled.close()
            raise
        read_json_with(self.blueprint.json_loads, dialled.raw)
        return dialled

    async def ping(self, connection: AiopgConnection) -> None:
        """Make a round trip."""
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")


def _to(attempt: ConnMapping) -> str:
    """Return where an attempt to connect goes, which psycopg2 does not say of asynchronous ones."""
    return f"connection to {attempt.get('host') or attempt.get('hostaddr')}, port {attempt.get('port')}"
