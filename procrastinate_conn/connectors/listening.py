"""LISTEN that goes on: the connection may die as often as it likes."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Protocol

from procrastinate.connector import Notify

from procrastinate_conn.connectors.backoff import LONGEST_PAUSE, Backoff

logger = logging.getLogger(__name__)

OF_PROCRASTINATE = re.compile("procrastinate_(any_)?queue_v1")
ANY_JOB = json.dumps({"type": "job_inserted", "job_id": 0})
"""What a worker is told after a gap; it only takes it as a hint to look for jobs."""


class Session(Protocol):
    """Listens on one connection."""

    def __call__(self, listening: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Listen, awaiting `listening` once it does, until the connection dies."""


async def keep_listening(
    session: Session, failures: tuple[type[Exception], ...], on_notification: Notify, channels: Iterable[str]
) -> None:
    """Run sessions, a new one as soon as the last one has failed, until one ends by itself.

    Parameters
    ----------
    session
        Connects and listens.
    failures
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
        except failures as error:
            heed_cancellation()
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


def heed_cancellation() -> None:
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
