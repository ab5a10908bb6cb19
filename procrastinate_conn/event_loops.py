"""Whether this thread runs an event loop."""

from __future__ import annotations


def in_event_loop() -> bool:
    """Return whether this thread runs an event loop."""
    import asyncio  # which psycopg has imported by then, and starting is to be quick

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
