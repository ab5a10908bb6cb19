"""Calls from other threads into the event loop where a connector was opened, and its connections live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from procrastinate.exceptions import ConnectorException

T = TypeVar("T")


def in_event_loop() -> bool:
    """Tell whether this thread is running an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run_at_home(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float) -> T:
    """Run a coroutine in the event loop of another thread, and return its result.

    Parameters
    ----------
    call
        The coroutine.
    loop
        The event loop, running.
    patience
        Seconds that the loop may take to begin with it.

    Raises
    ------
    ConnectorException
        The loop does not begin with it.
    """
    begun = threading.Event()

    async def run() -> T:
        begun.set()
        return await call

    future = asyncio.run_coroutine_threadsafe(run(), loop)
    if not begun.wait(patience):
        future.cancel()
        call.close()
        raise ConnectorException(
            f"the event loop that the connector was opened in did nothing for {patience:.2f} sec: "
            "does a synchronous call block it?"
        )
    return future.result()
