"""aiopg's connections, made fit for psycopg_pool and for libpq's change of sockets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiopg
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, ConnectionInfo

from procrastinate_conn.connectors.psycopg2.connection_factory import without_secrets
from procrastinate_conn.connectors.runtime.liveness import is_readable


class BufferedConnection(psycopg2.extensions.connection):
    """A connection of psycopg2's that can be told to read no further than to the end of an answer.

    aiopg reads whenever there is something to read. If that is the end of the connection, an answer that was
    received and not fetched yet would be lost with it.

    Attributes
    ----------
    adopted : bool
        Whether aiopg has taken it over.
    forgotten : bool
        Whether it has ended, or was closed, and the event loop no longer reads from its socket.
    """

    patient = False
    answered = False
    adopted = False
    forgotten = False

    async def made(self) -> None:
        """Wait until the connection is made.

        aiopg would wait for one socket, and libpq may take another: where the server refuses a client with
        TLS, and `sslmode` allows it, it tries without, and the other way round.
        """
        while (state := super().poll()) != POLL_OK:
            await _until_ready(self.fileno(), state)

    def isexecuting(self) -> bool:
        """Tell whether a query is under way; and until aiopg has it, what aiopg asserts of a connection."""
        return not self.adopted or super().isexecuting()

    def poll(self) -> int:
        """Read what there is, unless an answer is waiting."""
        if self.patient and self.answered:
            return POLL_OK
        asked = self.isexecuting()
        descriptor = self.fileno()
        try:
            return self._read(asked=asked)
        except psycopg2.Error:
            if self.closed:  # at once, since the next connection may have the same number
                asyncio.get_running_loop().remove_reader(descriptor)
                self.forgotten = True
            raise

    __repr__ = __str__ = without_secrets

    def _read(self, *, asked: bool) -> int:
        state: int = super().poll()
        while state == POLL_READ and is_readable(self.fileno()):
            # The farewell is read, and the end of the connection behind it is not. aiopg would wait to be
            # called again; but of a connection that was reset, uvloop tells once.
            state = super().poll()
        self.answered = asked and state == POLL_OK
        return state


@contextmanager
def answer_kept(connection: AiopgConnection) -> Iterator[None]:
    """Execute a query and fetch its answer in here."""
    raw: BufferedConnection = connection.raw
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

    def close(self) -> asyncio.Future[None]:
        """Close the connection, once: its socket's number may be another's by then."""
        if not self.raw.forgotten:
            self.raw.forgotten = True
            return super().close()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def rollback(self) -> None:
        """Roll back, which aiopg leaves to the application."""
        async with self.cursor() as cursor:
            await cursor.execute("ROLLBACK")


async def _until_ready(descriptor: int, state: int) -> None:
    """Wait until a socket is ready for what libpq wants to do next."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    # Under this number the loop may still have the socket of a connection that has ended, and while it does
    # it watches no other one.
    loop.remove_reader(descriptor)
    loop.remove_writer(descriptor)
    watch = loop.add_reader if state == POLL_READ else loop.add_writer
    watch(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
        loop.remove_writer(descriptor)
