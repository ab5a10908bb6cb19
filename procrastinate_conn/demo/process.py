"""The process while the demo runs: its environment, and early ends by Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def isolated_environment() -> Iterator[None]:
    """Unset the user's connection settings for the block, so that the demo reaches no server but its own."""
    original = dict(os.environ)
    try:
        for name in original:
            if name.startswith(("PG", "PROCRASTINATE_CONN_")) or name == "DATABASE_URL":
                del os.environ[name]
        yield
    finally:
        os.environ.clear()
        os.environ.update(original)


def treat_sigterm_as_sigint() -> None:
    """Let SIGTERM raise KeyboardInterrupt, which runs every clean-up."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer SIGINT and SIGTERM while the block runs, and deliver the first one after it."""
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda signum, _frame: received.append(signum))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
