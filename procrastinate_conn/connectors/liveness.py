"""Whether an idle connection is alive: told from its socket without a round trip, or asked in good time."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def has_something_to_say(fileno: int) -> bool:
    """Tell whether a socket has something to read, has been shut down or is closed; returns at once.

    An idle PostgreSQL connection has nothing to read. If there is something, it may be the server's
    farewell, but also a notice, a changed parameter, or the TLS layer's business: only a round trip can tell.
    """
    if not hasattr(select, "poll"):  # Windows; and eventlet takes it away
        try:
            return bool(select.select([fileno], [], [], 0)[0])
        except ValueError:  # a number that is too large for it
            return True
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def hung_up_in(seconds: float, fileno: int) -> Iterator[None]:
    """Shut a socket down after so many seconds, so that a driver that waits for an answer gets an error."""
    with _second_hold(fileno) as held:
        timer = threading.Timer(seconds, _hang_up, [held])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def hung_up_in_async(seconds: float, fileno: int) -> Iterator[None]:
    """Do the same in an event loop; to cancel the task would make psycopg wait for the server once more."""
    with _second_hold(fileno) as held:
        timer = asyncio.get_running_loop().call_later(seconds, _hang_up, held)
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def _second_hold(fileno: int) -> Iterator[socket.socket]:
    """Have a socket under a second number, which nobody else gets when the driver closes the first one."""
    with socket.socket(fileno=socket.dup(fileno)) as held:
        yield held


def _hang_up(held: socket.socket) -> None:
    with suppress(OSError):  # nobody is there any more
        held.shutdown(socket.SHUT_RDWR)
