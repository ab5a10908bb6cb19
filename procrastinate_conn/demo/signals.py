"""Early ends by Ctrl-C or SIGTERM, with every clean-up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def treat_sigterm_as_sigint() -> None:
    """Let SIGTERM raise KeyboardInterrupt, which runs every clean-up."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer SIGINT and SIGTERM while the block runs, and deliver the first one after it."""
    received: list[int] = []

    def defer(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)

    handlers = {number: signal.signal(number, defer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
