"""LISTEN through any number of lost connections."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from time import monotonic
from typing import Any

from procrastinate import connector as procrastinate_connector
from procrastinate import sql
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from psycopg.sql import Identifier

from procrastinate_conn.connectors.runtime.acquire import PING_TIMEOUT
from procrastinate_conn.connectors.runtime.retry import LONGEST_PAUSE, growing_pauses

logger = logging.getLogger(__name__)

ANY_JOB = json.dumps({"type": "job_inserted", "job_id": 0})
"""A notification after a gap; a worker only takes it as a hint to look for jobs."""


async def listen(
    connector: Any,
    listen_notify: Callable[[Notify, Iterable[str]], Awaitable[None]],
    on_notification: Notify,
    channels: Iterable[str],
) -> None:
    """Listen on a connection besides the pool, through any outage, until cancelled.

    A pool of the caller's has connections with parameters of their own: there procrastinate's own
    `listen_notify` is used, unless the setting ``listen`` has the parameters.

    After a gap each of procrastinate's channels is notified once, so that a worker looks for the jobs that
    were deferred meanwhile. The failures are logged at growing intervals: the first, second, fourth, eighth.
    """
    config = connector.config
    if not config.listens:
        logger.info("listen is off: the worker polls for jobs", extra={"action": "listen_off"})
        await asyncio.Event().wait()  # the worker ceases to watch its other tasks when this one ends
    channels = list(channels)
    connection_factory = connector.connection_factory(config.listening or config)
    errors = (*connection_factory.errors, ConnectorException, TimeoutError, UnicodeError)
    pauses = growing_pauses()
    failures = 0  # in a row

    async def on_listening() -> None:
        nonlocal failures
        if failures:
            for channel in (c for c in channels if re.match("procrastinate_(any_)?queue_v1", c)):
                await on_notification(channel=channel, payload=ANY_JOB)
        failures = 0

    while True:
        started = monotonic()
        try:
            if connector.own_pool is None and config.listening is None:
                await on_listening()  # too early by a moment: procrastinate does not tell when it listens
                return await listen_notify(on_notification, channels)
            async with await connection_factory.connect() as connection:
                await listen_on(connection_factory, connection, on_notification, channels, on_listening)
        except errors as error:
            raise_if_cancelled()
            if monotonic() - started > LONGEST_PAUSE:
                pauses = growing_pauses()
            pause = next(pauses)
            failures += 1
            if failures.bit_count() == 1:  # a power of two
                logger.warning(
                    "LISTEN failed, next attempt in %.1f s, and workers poll for jobs meanwhile: %s: %s",
                    pause,
                    type(error).__name__,
                    error,
                    extra={"action": "listen_notify_failed"},
                )
            await asyncio.sleep(pause)


async def listen_on(
    connection_factory: Any,
    connection: Any,
    on_notification: Notify,
    channels: Iterable[str],
    on_listening: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Listen on a connection in autocommit mode until it is lost; await `on_listening` once it listens.

    Names that are not ASCII are escaped, and the server sends them in UTF-8, whatever the client's encoding.
    It converts nothing if its own encoding is SQL_ASCII; then they are sent as the driver encodes them.
    """
    timeout = procrastinate_connector.LISTEN_TIMEOUT

    async def execute(statement: str) -> None:
        with connection_factory.response_within(PING_TIMEOUT, connection):
            await connection_factory.execute(connection, statement)

    names = [Identifier(channel).as_string() for channel in channels]
    if not all(map(str.isascii, names)) and connection_factory.server_encoding(connection) != "SQL_ASCII":
        await execute("SET client_encoding TO 'UTF8'")
        names = [f"U&{_escaped(name)}" for name in names]
    for name in names:
        await execute(sql.queries["listen_queue"].format(channel_name=name))
    if on_listening is not None:
        await on_listening()
    while True:
        async with aclosing(connection_factory.notifications(connection, timeout)) as notifications:
            async for notification in notifications:
                await on_notification(channel=notification.channel, payload=notification.payload)
                raise_if_cancelled()
        await execute("SELECT 1")
        raise_if_cancelled()


def _escaped(identifier: str) -> str:
    """Return a quoted identifier in ASCII, with PostgreSQL's Unicode escapes."""
    return "".join(
        character if character.isascii() and character != "\\" else f"\\+{ord(character):06x}"
        for character in identifier
    )


async def listen_on_asyncpg(connection: Any, on_notification: Notify, channels: Iterable[str]) -> None:
    """Listen on a connection of asyncpg's, of the caller's, until it is lost or the task is cancelled."""
    received: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()

    def receive(_connection: Any, _pid: int, channel: str, payload: str) -> None:
        received.put_nowait((channel, payload))

    connection.add_termination_listener(lambda _: received.put_nowait(None))
    try:
        await _for_each(channels, connection.add_listener, receive)
        while (notification := await received.get()) is not None:
            channel, payload = notification
            await on_notification(channel=channel, payload=payload)
    finally:
        await _for_each(channels, connection.remove_listener, receive)
    raise ConnectorException("the connection that listens was closed")


async def _for_each(channels: Iterable[str], call: Callable[..., Awaitable[None]], receive: Any) -> None:
    try:
        for channel in channels:
            await call(channel, receive)
    except Exception as error:  # asyncpg's errors have no common base
        raise ConnectorException(str(error)) from error


def raise_if_cancelled() -> None:
    """End a task that did not notice that it was cancelled: Python 3.11's `asyncio.wait_for` may swallow it.

    The drivers wait with it, and a worker that stops waits for its listener to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
