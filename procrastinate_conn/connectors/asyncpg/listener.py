"""LISTEN on a connection of the application's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException


async def listen_until_lost(connection: Any, on_notification: Notify, channels: Iterable[str]) -> None:
    """Listen on a connection of asyncpg's until it is lost, or the task is cancelled."""
    received: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()

    def receive(_connection: Any, _pid: int, channel: str, payload: str) -> None:
        received.put_nowait((channel, payload))

    connection.add_termination_listener(lambda _: received.put_nowait(None))
    for channel in channels:
        await connection.add_listener(channel, receive)
    try:
        while (notification := await received.get()) is not None:
            channel, payload = notification
            await on_notification(channel=channel, payload=payload)
    finally:
        for channel in channels:
            await connection.remove_listener(channel, receive)
    raise ConnectorException("the connection that listens was closed")
