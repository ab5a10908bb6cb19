"""The raw drivers: open connections in autocommit mode that execute queries, without a pool."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from functools import cache, partial
from typing import Any, Generic, NamedTuple, TypeVar

import aiopg
import asyncpg
import psycopg
import psycopg2
from procrastinate.types import JobToDefer
from psycopg.rows import dict_row
from psycopg2.extras import RealDictCursor

from procrastinate_conn import ConnectorKind
from procrastinate_conn.connectors.json_arguments import jobs_as_text
from procrastinate_conn.registry import REGISTRY

C = TypeVar("C")

Rows = list[dict[str, Any]]
Execute = Callable[[Any, Mapping[str, Any] | None], Rows]
ExecuteAsync = Callable[[Any, Mapping[str, Any] | None], Awaitable[Rows]]


class Driver(NamedTuple, Generic[C]):
    """A driver.

    Parameters
    ----------
    connect
        Opens a connection to a DSN, and yields the function that executes a query on it and fetches the rows
        as dictionaries, as the connectors do.
    write_jobs
        Returns jobs to defer as the driver takes them in the shortest time.
    """

    connect: Callable[[str], C]
    write_jobs: Callable[[list[JobToDefer]], Any]


SyncDriver = Driver[AbstractContextManager[Execute]]
AsyncDriver = Driver[AbstractAsyncContextManager[ExecuteAsync]]


@contextmanager
def _psycopg(dsn: str) -> Iterator[Execute]:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        yield lambda query, arguments: connection.execute(query, arguments).fetchall()


@contextmanager
def _psycopg2(dsn: str) -> Iterator[Execute]:
    connection = psycopg2.connect(dsn, cursor_factory=RealDictCursor)
    connection.autocommit = True

    def execute(query: Any, arguments: Mapping[str, Any] | None) -> Rows:
        with connection.cursor() as cursor:
            cursor.execute(query, arguments)
            return cursor.fetchall()

    try:
        yield execute
    finally:
        connection.close()


@asynccontextmanager
async def _psycopg_async(dsn: str) -> AsyncIterator[ExecuteAsync]:
    connect = psycopg.AsyncConnection.connect
    async with await connect(dsn, autocommit=True, row_factory=dict_row) as connection:

        async def execute(query: Any, arguments: Mapping[str, Any] | None) -> Rows:
            return await (await connection.execute(query, arguments)).fetchall()

        yield execute


@asynccontextmanager
async def _aiopg(dsn: str) -> AsyncIterator[ExecuteAsync]:
    connect = aiopg.connect(dsn, cursor_factory=RealDictCursor, enable_json=False, enable_hstore=False)
    async with connect as connection:

        async def execute(query: Any, arguments: Mapping[str, Any] | None) -> Rows:
            async with connection.cursor() as cursor:
                await cursor.execute(query, arguments)
                return await cursor.fetchall()

        yield execute


@asynccontextmanager
async def _asyncpg(dsn: str) -> AsyncIterator[ExecuteAsync]:
    connection = await asyncpg.connect(dsn)
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",  # as the composite type of a job needs it; it begins with the format's version
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda data: json.loads(data[1:]),
    )

    async def execute(query: Any, arguments: Mapping[str, Any] | None) -> Rows:
        rows = await connection.fetch(_numbered(query, tuple(arguments or ())), *(arguments or {}).values())
        return [dict(row) for row in rows]

    try:
        yield execute
    finally:
        await connection.close()


@cache
def _numbered(query: str, names: tuple[str, ...]) -> str:
    """Return a query with asyncpg's placeholders."""
    return re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", query)


_as_text = partial(jobs_as_text, dumps=json.dumps)

PSYCOPG: SyncDriver = Driver(_psycopg, _as_text)
PSYCOPG_ASYNC: AsyncDriver = Driver(_psycopg_async, _as_text)

SYNC: Mapping[str, SyncDriver] = {"psycopg": PSYCOPG, "psycopg2": Driver(_psycopg2, _as_text)}
ASYNC: Mapping[str, AsyncDriver] = {
    "psycopg": PSYCOPG_ASYNC,
    "aiopg": Driver(_aiopg, _as_text),
    "asyncpg": Driver(_asyncpg, list),
}


def sync_driver(kind: ConnectorKind) -> SyncDriver:
    """Return the driver that a kind defers with synchronously: psycopg, unless psycopg2 is among its own."""
    return next((SYNC[name] for name in REGISTRY[kind].drivers if name in SYNC), PSYCOPG)


def async_driver(kind: ConnectorKind) -> AsyncDriver:
    """Return the driver that a kind defers with asynchronously."""
    return next(ASYNC[name] for name in REGISTRY[kind].drivers if name in ASYNC)
