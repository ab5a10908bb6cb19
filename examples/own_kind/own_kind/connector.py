"""The kind ``pg8000``. The driver is synchronous: each call is made in a thread."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import monotonic

import pg8000.native
import psycopg
from pg8000.converters import JSON, JSONB
from pg8000.exceptions import DatabaseError, Error
from procrastinate.connector import BaseAsyncConnector
from psycopg.pq import TransactionStatus

from procrastinate_conn.connectors.interface import (
    AsyncConnectionFactory,
    AsyncConnector,
    Liveness,
    RowLists,
    Shutdown,
    SyncPsycopgConnector,
    WithoutClass,
    connector_exception,
    find_password,
    open_first,
    raise_lost,
    server_settings,
    set_socket_options,
    translate,
)

STATUS = {b"I": TransactionStatus.IDLE, b"T": TransactionStatus.INTRANS, b"E": TransactionStatus.INERROR}


THREADS = ThreadPoolExecutor()  # not the loop's own: the application's calls may wait in all of those


def in_thread(function, *arguments, **keywords):
    return asyncio.get_running_loop().run_in_executor(THREADS, partial(function, *arguments, **keywords))


class Pg8000Connection(pg8000.native.Connection):
    """A connection with what the pool needs."""

    pgconn = property(lambda self: self)  # the object with the transaction_status

    def __init__(self, connected: socket.socket, **arguments):
        self.socket, self.liveness, self.closed = connected, Liveness(), False
        super().__init__(sock=connected, **arguments)

    def handle_READY_FOR_QUERY(self, data, context):  # noqa: N802 - pg8000's
        self.transaction_status = STATUS[data]
        super().handle_READY_FOR_QUERY(data, context)

    def handle_ERROR_RESPONSE(self, data, context):  # noqa: N802 - pg8000's
        super().handle_ERROR_RESPONSE(data, context)
        if context.error.args[0]["V"] == "FATAL":  # pg8000 would read on, and lose the reason
            raise context.error

    def execute(self, statement, values=()):
        """Execute a statement, and return its rows."""
        self.transaction_status = TransactionStatus.ACTIVE
        try:
            result = self.execute_unnamed(statement, values) if values else self.execute_simple(statement)
        except DatabaseError as error:
            fields = error.args[0]
            error.sqlstate, error.detail, error.constraint_name = map(fields.get, ("C", "D", "n"))
            error.shutdown = Shutdown.reported(*map(fields.get, ("C", "R", "W")))
            if fields["V"] == "FATAL":
                self.terminate()
            raise
        except BaseException:  # anything else has ended the protocol
            self.terminate()
            raise
        columns = [column["name"] for column in result.columns or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.rows or ()]

    def terminate(self):
        """Close the connection at once, also while a thread waits for it."""
        self.closed, self.transaction_status = True, TransactionStatus.UNKNOWN
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def close(self):
        self.terminate()
        return Done()

    async def rollback(self):
        await in_thread(self.execute, "ROLLBACK")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.terminate()


class Done:
    """What can be awaited, and need not be: pg8000 calls `close`, too."""

    def __await__(self):
        return iter(())


class Pg8000ConnectionFactory(AsyncConnectionFactory):
    """Makes the connections, and listens on one."""

    errors = (Error, OSError, psycopg.Error)

    async def open_connection(self, parameters):
        return await open_first(parameters, self.open_one, self.errors)

    async def open_one(self, attempt):
        """Connect to one address."""
        if attempt.get("hostaddr"):
            address = (attempt["hostaddr"], int(attempt["port"]))
            family = socket.AF_INET6 if ":" in attempt["hostaddr"] else socket.AF_INET
        else:
            family, address = socket.AF_UNIX, f"{attempt['host']}/.s.PGSQL.{attempt['port']}"
        connected = socket.socket(family)
        connected.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connected, address)
            connected.setblocking(True)
            set_socket_options(connected, attempt)
            settings = server_settings(attempt, self.config.spec)
            connection = await in_thread(
                Pg8000Connection,
                connected,
                user=attempt["user"],
                database=attempt.get("dbname"),
                password=find_password(attempt),
                application_name=settings.pop("application_name", None),
                startup_params=settings,
            )
        except BaseException as error:
            connected.close()
            if isinstance(error, DatabaseError):  # its text is a dict: the pool looks for libpq's messages
                raise psycopg.OperationalError(f"{error.args[0]['S']}:  {error.args[0]['M']}") from error
            raise
        for oid in (JSON, JSONB):
            connection.register_in_adapter(oid, self.config.json_loads or json.loads)
        return connection

    def fileno(self, connection):
        return connection.socket.fileno()

    def discard(self, connection):
        connection.terminate()

    async def ping(self, connection):
        await self.execute(connection, "SELECT 1")

    async def execute(self, connection, statement):
        await in_thread(connection.execute, statement)

    async def notifications(self, connection, seconds):
        """Yield notifications until none has come for so many seconds; pg8000 reads them with a result."""
        while connection.notifications or await readable(connection.socket, seconds):
            if not connection.notifications:
                await self.execute(connection, "SELECT 1")
            while connection.notifications:
                pid, channel, payload = connection.notifications.popleft()
                yield psycopg.Notify(channel, payload, pid)


async def readable(connected, seconds):
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connected, ready.set)
    try:
        async with asyncio.timeout(seconds):
            return await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(connected)


class Pg8000Connector(RowLists, AsyncConnector, WithoutClass, BaseAsyncConnector):
    """The connector. Before it is open, it defers synchronously on psycopg."""

    connection_factory = Pg8000ConnectionFactory
    sync_connector = SyncPsycopgConnector

    async def send(self, query, arguments, fetch):
        pool = self.own_pool or self.require_pool()
        try:
            connection = await pool.getconn()
            try:
                statement, values = translate(query, arguments, self.config.json_dumps)
                sent_at = monotonic()
                try:
                    rows = await in_thread(connection.execute, statement, values)
                except Exception as error:
                    report = getattr(error, "shutdown", None)
                    lost = {"shutdown": report, "is_extended": bool(values), "is_lost": connection.closed}
                    raise_lost(error, query, sent_at, **lost)
                    raise
                return fetch(rows) if fetch else None
            finally:
                await pool.putconn(connection)
        except Pg8000ConnectionFactory.errors as error:
            raise connector_exception(error) from error
