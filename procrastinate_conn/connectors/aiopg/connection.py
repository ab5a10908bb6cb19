"""aiopg's connections, as psycopg_pool needs them, and through libpq's change of sockets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiopg
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, ConnectionInfo

from procrastinate_conn.connectors.psycopg2.connection_factory import repr_without_dsn
from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.liveness import is_readable


class BufferedConnection(psycopg2.extensions.connection):
    """A connection of psycopg2's that can be told to read no further than to the end of a result.

    aiopg reads whenever there is something to read. If that is the end of the connection, a result that was
    received and not fetched yet would be lost with it.
    """

    is_buffering = False  # whether to stop reading at the end of a result
    has_result = False  # one that was not fetched
    is_adopted = False  # by aiopg
    is_forgotten = False  # ended, or closed: the event loop no longer reads from its socket

    async def wait_until_open(self) -> None:
        """Wait until the connection is open.

        aiopg would wait for one socket, and libpq may take another: if the server rejects a client with TLS,
        and `sslmode` allows it, it tries without, and the other way round.
        """
        while (state := super().poll()) != POLL_OK:
            await _until_ready(self.fileno(), state)

    def isexecuting(self) -> bool:
        """Tell whether a query is being executed; and what aiopg asserts of a connection that it adopts."""
        return not self.is_adopted or super().isexecuting()

    def poll(self) -> int:
        """Read what there is, unless a result is buffered."""
        if self.is_buffering and self.has_result:
            return POLL_OK
        is_executing = self.isexecuting()
        descriptor = self.fileno()
        try:
            state = self._read()
        except psycopg2.Error:
            if self.closed:  # at once, since the next connection may have the same descriptor
                asyncio.get_running_loop().remove_reader(descriptor)
                self.is_forgotten = True
            raise
        self.has_result = is_executing and state == POLL_OK
        return state

    __repr__ = __str__ = repr_without_dsn

    def _read(self) -> int:
        state: int = super().poll()
        while state == POLL_READ and is_readable(self.fileno()):
            # The end of the session is read, and that of the connection behind it is not. aiopg would wait to
            # be called again; but uvloop reports a connection that was reset only once.
            state = super().poll()
        return state


@contextmanager
def buffered_result(connection: AiopgConnection) -> Iterator[None]:
    """Execute a query and fetch its result in here."""
    raw: BufferedConnection = connection.raw
    raw.is_buffering, raw.has_result = True, False
    try:
        yield
    finally:
        raw.is_buffering = False


class AiopgConnection(aiopg.Connection):
    """A connection of aiopg's with what psycopg_pool uses of psycopg's."""

    liveness: Liveness

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._process_id = os.getpid()
        super().__init__(*arguments, **keywords)

    def __del__(self) -> None:
        if self._process_id == os.getpid():  # a child would end the session of its parent
            super().__del__()

    @property
    def pgconn(self) -> ConnectionInfo:
        """The object with a ``transaction_status``; the numbers are libpq's in both."""
        info: ConnectionInfo = self.raw.info
        return info

    def close(self) -> asyncio.Future[None]:
        """Close the connection, once: its socket's descriptor may be another's by then."""
        if not self.raw.is_forgotten:
            self.raw.is_forgotten = True
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
    # With this descriptor the loop may still have the socket of a connection that has ended, and while it
    # does it watches no other one.
    loop.remove_reader(descriptor)
    loop.remove_writer(descriptor)
    watch = loop.add_reader if state == POLL_READ else loop.add_writer
    watch(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
        loop.remove_writer(descriptor)
