"""LISTEN on a connection of the application's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException


async def listen_until_lost(connection: Any, on_notification: Notify, channels: Iterable[str]) -> None:
    """Listen on a connection of asyncpg's until it is lost, or the task is cancelled."""
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
