"""How the demo ends early, by Ctrl-C or SIGTERM, without leaving anything behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from procrastinate_conn.demo.postgres import EmbeddedPostgres


def end_as_ctrl_c_does() -> None:
    """Make SIGTERM raise KeyboardInterrupt, which runs every clean-up."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back while the block runs, and deliver the first one after it."""
    received: list[int] = []

    def remember(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)

    handlers = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


@contextmanager
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """Run a server for the block; a signal ends neither its start nor its removal half-way."""
    server = EmbeddedPostgres()
    try:
        with held_back():
            server.start()
        yield server
    finally:
        with held_back():
            server.remove()
