"""aiopg's connections, as psycopg_pool needs them, and through libpq's change of sockets."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from operator import attrgetter
from time import monotonic
from typing import Any

import aiopg
import psycopg
import psycopg2
from psycopg.conninfo import make_conninfo
from psycopg2.extensions import POLL_OK, POLL_READ, Notify
from psycopg2.extras import RealDictCursor

from procrastinate_conn.connectors.psycopg2.connection_factory import (
    adopt_raw,
    repr_without_dsn,
    require_cursor_class,
)
from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.attempts import Attempt, open_first
from procrastinate_conn.connectors.runtime.connection_factory import AsyncConnectionFactory
from procrastinate_conn.connectors.runtime.liveness import readability


class BufferedConnection(psycopg2.extensions.connection):
    """A connection of psycopg2's that can stop reading at the end of a result.

    aiopg reads whenever there is something to read. If that is the end of the connection, a result that was
    received and not fetched yet would be lost with it.
    """

    is_buffering = False  # whether to stop reading at the end of a result, until this is reset
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
        self._is_readable = readability(self.fileno())

    def isexecuting(self) -> bool:
        """Tell whether a query is being executed; and what aiopg asserts of a connection that it adopts."""
        return not self.is_adopted or super().isexecuting()

    def poll(self) -> int:
        """Read what there is, unless a result is buffered."""
        if self.is_buffering and self.has_result:
            return POLL_OK
        is_executing = not self.is_adopted or super().isexecuting()
        descriptor = self.fileno()
        try:
            state = super().poll()
            while state == POLL_READ and self._is_readable():
                # The end of the session is read, and that of the connection behind it is not. aiopg would
                # wait to be called again; but uvloop reports a connection that was reset only once.
                state = super().poll()
        except psycopg2.Error:
            if self.closed:  # at once, since the next connection may have the same descriptor
                asyncio.get_running_loop().remove_reader(descriptor)
                self.is_forgotten = True
            raise
        self.has_result = is_executing and state == POLL_OK
        return state

    __repr__ = __str__ = repr_without_dsn


class AiopgConnection(aiopg.Connection):
    """A connection of aiopg's with what psycopg_pool uses of psycopg's."""

    liveness: Liveness
    process_id = 0

    def __del__(self) -> None:
        """Close without aiopg's log record: procrastinate's connectors need not be closed.

        A child of the process would end the session of its parent.
        """
        if self.process_id == os.getpid():
            with suppress(AttributeError, RuntimeError):  # it was never opened, or its event loop was closed
                self.close()

    # The object with a ``transaction_status``; the numbers are libpq's in both.
    pgconn = property(attrgetter("raw.info"))

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


class AiopgConnectionFactory(AsyncConnectionFactory):
    """Makes aiopg's connections."""

    errors = (psycopg2.Error, psycopg.Error)
    environment = os.environ

    def fileno(self, connection: AiopgConnection) -> int:
        descriptor: int = connection.raw.fileno()
        return descriptor

    def should_ping(self, connection: AiopgConnection) -> bool:
        """Read what there is, also with the last result, and tell whether to ping the connection.

        An error is raised if the connection is closed.
        """
        connection.raw.poll()
        liveness = connection.liveness
        return liveness.is_terminated or monotonic() - liveness.idle_since >= self.check_after

    def discard(self, connection: AiopgConnection) -> None:
        with suppress(RuntimeError):  # its event loop was closed
            connection.close()
        connection.raw.close()

    async def open_connection(self, parameters: dict[str, str]) -> Any:
        """Return a connection to the first address that accepts one.

        The addresses are tried one by one, as psycopg does: libpq would go on to the next one on another
        socket, which aiopg does not notice, and without regard to `connect_timeout`.
        """
        return await open_first(parameters, self._open_one, (psycopg2.OperationalError,))

    async def _open_one(self, attempt: Attempt) -> Any:
        """Return a connection to one address, without aiopg's look-up of types: they are not used here.

        `aiopg.connect` is what agents wrap, and its arguments are what they read. It has no option for the
        class of the connection.
        """
        raw = BufferedConnection(make_conninfo("", **attempt), async_=1)

        class Opened(BufferedConnection):  # a class and no function, as AppDynamics makes a subclass of it
            def __new__(cls, *_: object) -> Any:
                return raw

        try:
            await raw.wait_until_open()
            connection: Any = await aiopg.connect(
                host=attempt.get("host") or attempt.get("hostaddr"),
                port=attempt.get("port"),
                user=attempt.get("user"),
                database=attempt.get("dbname"),
                enable_json=False,
                enable_hstore=False,
                enable_uuid=False,
                connection_factory=Opened,
                cursor_factory=RealDictCursor,
            )
        except BaseException:
            raw.close()
            raise
        raw.is_adopted = True
        require_cursor_class(raw, RealDictCursor)
        inspect.unwrap(connection).__class__ = AiopgConnection
        return connection

    def adopt(self, connection: AiopgConnection) -> None:
        connection.process_id = os.getpid()
        connection.liveness = Liveness()
        adopt_raw(connection.raw, connection.liveness, self.config.json_loads)

    async def ping(self, connection: AiopgConnection) -> None:
        await self.execute(connection, "SELECT 1")

    async def execute(self, connection: AiopgConnection, statement: str) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)

    def server_encoding(self, connection: AiopgConnection) -> str | None:
        encoding: str | None = connection.raw.info.parameter_status("server_encoding")
        return encoding

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
