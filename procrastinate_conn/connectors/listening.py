"""LISTEN that goes on: the connection may die as often as it likes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 10.0
"""Seconds between two attempts to listen again, at most."""


class Backoff:
    """How long to wait before the next attempt: not at all, and then ever longer."""

    def __init__(self) -> None:
        self.pause = 0.0

    def succeeded(self) -> None:
        """Begin anew: the attempt went well."""
        self.pause = 0.0

    def failed(self) -> float:
        """Return the seconds to wait now."""
        pause, self.pause = self.pause, min(2 * self.pause or 0.5, LONGEST_PAUSE)
        return pause


class Session(Protocol):
    """Listens on one connection."""

    def __call__(self, listening: Callable[[], None]) -> Awaitable[None]:
        """Listen, calling `listening` once it does, until the connection dies."""


async def keep_listening(session: Session, failures: tuple[type[Exception], ...]) -> None:
    """Run sessions, a new one as soon as the last one has failed, until one ends by itself.

    Parameters
    ----------
    session
        Connects and listens.
    failures
        The errors by which a session says that it cannot connect, or that its connection is lost.
    """
    backoff = Backoff()
    while True:
        try:
            return await session(backoff.succeeded)
        except failures as error:
            pause = backoff.failed()
            logger.warning(
                "LISTEN failed, next attempt in %.1f s: %s: %s",
                pause,
                type(error).__name__,
                error,
                extra={"action": "listen_notify_failed"},
            )
            await asyncio.sleep(pause)
