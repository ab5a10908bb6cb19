"""Observing a server, and connectors made for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import procrastinate
from procrastinate.connector import BaseConnector

from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.connectors import build
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS, ConnectorKind

KINDS = SERVER_KINDS
ASYNC_KINDS = [kind for kind in KINDS if REGISTRY[kind].asynchronous]
SYNC_KINDS = [kind for kind in KINDS if not REGISTRY[kind].asynchronous]


def connector_config(
    kind: ConnectorKind,
    address: Mapping[str, str],
    *,
    null: bool = False,
    check_after: float = 60.0,
    json_dumps: Callable[[Any], str] | None = None,
    json_loads: Callable[[str], Any] | None = None,
    password: Callable[[], str] | None = None,
    **pool: Any,
) -> ConnectorConfig:
    """Return what a connector to `address` is built from; the rest are pool options."""
    options = PoolOptions(pool, null=null, check_after=check_after)
    spec = ConnectionSpec(**address)
    return ConnectorConfig(
        kind, spec, options, json_dumps=json_dumps, json_loads=json_loads, password=password
    )


def connector(kind: ConnectorKind, address: Mapping[str, str], **options: Any) -> BaseConnector:
    """Return a connector to `address`, with pool options and more as `connector_config` takes them."""
    return build(connector_config(kind, address, **options))


def app(connector: BaseConnector) -> procrastinate.App:
    """Return an app with one task, ``work``, which adds its argument to the list ``app.worked``."""
    app = procrastinate.App(connector=connector)
    app.worked = []

    @app.task(name="work")
    def work(argument: Any = None) -> None:
        app.worked.append(argument)

    return app


class Observer:
    """Observes a database on a connection of its own.

    Parameters
    ----------
    server, database
        What to look at.
    """

    def __init__(self, server: EmbeddedPostgres, database: str) -> None:
        self.connection = server.connect(database)

    def one(self, query: str, *arguments: Any) -> Any:
        """Return the first column of a query's first row."""
        row = self.connection.execute(query, arguments).fetchone()
        return None if row is None else row[0]

    def jobs(self) -> list[Any]:
        """Return the arguments of all jobs, in the order in which they were deferred."""
        rows = self.connection.execute("SELECT args FROM procrastinate_jobs ORDER BY id").fetchall()
        return [args.get("argument") for (args,) in rows]

    def backends(self) -> int:
        """Return how many other connections to the database there are."""
        return self.one(f"SELECT count(*) FROM pg_stat_activity {OTHERS}")

    def listens(self) -> bool:
        """Tell whether a worker listens."""
        return self.one(f"SELECT count(*) > 0 FROM pg_stat_activity {OTHERS} AND query ~ '^LISTEN'")

    def terminate(self, state: str = "idle", *, wait: bool = True) -> int:
        """End the others that are in a state, and return how many they were.

        Parameters
        ----------
        state
            As in ``pg_stat_activity``.
        wait
            Whether to wait until they are gone; otherwise the signal is on its way.
        """
        query = f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity {OTHERS} AND state = %s"
        ended = [pid for pid, _ in self.connection.execute(query, [state]).fetchall()]
        gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = ANY(%s)"
        if wait:  # the server's own way to wait looks ten times a second
            wait_until(lambda: self.one(gone, ended))
        return len(ended)


OTHERS = "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"


def wait_until(condition: Callable[[], Any], within: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises
    ------
    AssertionError
        It does not within so many seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.01)


async def soon(condition: Callable[[], Any], within: float = 20.0) -> None:
    """Wait until a condition holds, letting the event loop run.

    Raises
    ------
    TimeoutError
        It does not within so many seconds.
    """
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.01)


async def defer_until_worked(jobs: Any, argument: Any, worked: Any = None) -> None:
    """Defer a job, again if need be: a worker misses a notification that comes while it fetches.

    `worked` is the argument as the task gets it, if that differs.
    """
    async with asyncio.timeout(30):
        while (argument if worked is None else worked) not in jobs.worked:
            await jobs.tasks["work"].defer_async(argument=argument)
            with suppress(TimeoutError):
                await soon(lambda: (argument if worked is None else worked) in jobs.worked, 4)
