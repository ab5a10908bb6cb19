"""LISTEN that goes on: the connection may die as often as it likes."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from time import monotonic
from typing import Any, Protocol

from procrastinate import connector as procrastinate_connector
from procrastinate import sql
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from psycopg.sql import SQL, Identifier

from procrastinate_conn.connectors.base import AsyncConnector
from procrastinate_conn.connectors.runtime.backoff import LONGEST_PAUSE, Backoff

logger = logging.getLogger(__name__)

OF_PROCRASTINATE = re.compile("procrastinate_(any_)?queue_v1")
ANY_JOB = json.dumps({"type": "job_inserted", "job_id": 0})
"""What a worker is told after a gap; it only takes it as a hint to look for jobs."""


_LISTEN = SQL(sql.queries["listen_queue"])


class Listens(Protocol):
    """procrastinate's ``listen_notify``."""

    def __call__(self, on_notification: Notify, channels: Iterable[str]) -> Awaitable[None]:
        """Listen until the connection dies."""


class Session(Protocol):
    """Listens on one connection."""

    def __call__(self, listening: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Listen, awaiting `listening` once it does, until the connection dies."""


async def listen(
    connector: AsyncConnector[Any], theirs: Listens, on_notification: Notify, channels: Iterable[str]
) -> None:
    """Listen on a connection besides the pool, through any outage, until cancelled.

    Parameters
    ----------
    connector
        The connector, whose pool may be the caller's.
    theirs
        procrastinate's ``listen_notify`` for the connector, which takes its connection from that pool.
    on_notification
        Called for each notification.
    channels
        The channels to listen on.
    """
    channels = list(channels)
    connection_factory = connector.make_connection_factory()

    async def session(listening: Callable[[], Awaitable[None]]) -> None:
        if (
            connector.own_pool is None
        ):  # the pool is the caller's, and so are the parameters of its connections
            await listening()  # too early by a moment: procrastinate does not tell when it listens
            await theirs(on_notification, channels)
            return
        async with await connection_factory.connect() as connection:
            for channel in channels:
                statement = _LISTEN.format(channel_name=Identifier(channel))
                await connection_factory.execute(connection, statement.as_string())
            await listening()
            while True:
                notifications = connection_factory.notifications(
                    connection, procrastinate_connector.LISTEN_TIMEOUT
                )
                async with aclosing(notifications):
                    async for notification in notifications:
                        await on_notification(channel=notification.channel, payload=notification.payload)
                        raise_if_cancelled()
                async with asyncio.timeout(procrastinate_connector.LISTEN_TIMEOUT):
                    await connection_factory.execute(connection, "SELECT 1")
                raise_if_cancelled()

    errors = (*connection_factory.errors, ConnectorException, TimeoutError)
    await listen_forever(session, errors, on_notification, channels)


async def listen_forever(
    session: Session, errors: tuple[type[Exception], ...], on_notification: Notify, channels: Iterable[str]
) -> None:
    """Run sessions, a new one as soon as the last one has failed, until one ends by itself.

    Parameters
    ----------
    session
        Connects and listens.
    errors
        The errors by which a session says that it cannot connect, or that its connection is lost.
    on_notification
        Called once for each of procrastinate's channels after a gap, so that a worker looks for the jobs
        that it was not told of meanwhile.
    channels
        The channels.
    """
    backoff = Backoff()
    gap = False

    async def listening() -> None:
        nonlocal gap
        if gap:
            for channel in filter(OF_PROCRASTINATE.match, channels):
                await on_notification(channel=channel, payload=ANY_JOB)
        gap = False

    while True:
        begun = monotonic()
        try:
            return await session(listening)
        except errors as error:
            raise_if_cancelled()
            gap = True
            if monotonic() - begun > LONGEST_PAUSE:
                backoff.succeeded()
            pause = backoff.failed()
            logger.warning(
                "LISTEN failed, next attempt in %.1f s: %s: %s",
                pause,
                type(error).__name__,
                error,
                extra={"action": "listen_notify_failed"},
            )
            await asyncio.sleep(pause)


def raise_if_cancelled() -> None:
    """End a task that did not notice that it was cancelled: Python 3.11's `asyncio.wait_for` may swallow it.

    The drivers wait with it, and a worker that stops waits for its listener to end.

    Raises
    ------
    asyncio.CancelledError
        The current task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
