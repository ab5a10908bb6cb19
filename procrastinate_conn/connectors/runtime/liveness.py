"""Whether a connection's socket is silent, and a time limit for drivers that have none."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import psycopg

from procrastinate_conn.connectors.runtime.acquire import PingTimeout


def readability(fileno: int) -> Callable[[], object]:
    """Return a function that tells, without waiting, if a socket is readable, was shut down or is closed.

    An idle PostgreSQL connection has nothing to read. If there is something, it may be the end of the
    session, but also a notice, a changed parameter or a TLS record: only a round trip can tell.
    """
    if not hasattr(select, "poll"):  # on Windows; and eventlet removes it
        return partial(_is_readable, fileno)
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return partial(poll.poll, 0)


def _is_readable(fileno: int) -> bool:
    try:
        return bool(select.select([fileno], [], [], 0)[0])
    except ValueError:  # the descriptor is too large for select
        return True


@contextmanager
def shutdown_after(
    seconds: float,
    fileno: int,
    errors: tuple[type[Exception], ...],
    call_later: Callable[[float, Callable[[], None]], Any],
) -> Iterator[None]:
    """Shut a socket down after a time limit, so that a driver that waits for it gets an error.

    Cancelling the driver's task is not enough: psycopg would wait for the server once more.

    A duplicate of its descriptor is used, which stays valid when the driver closes its own. `errors` are
    those that the driver may raise then; they become a `PingTimeout`. `call_later` calls a function after so
    many seconds, and returns an object with ``cancel``.
    """
    has_fired = False
    failure = None

    def shut_down() -> None:
        nonlocal has_fired
        has_fired = True  # first, as the driver may raise before the next line
        with suppress(OSError):
            duplicate.shutdown(socket.SHUT_RDWR)

    with ExitStack() as stack:
        try:
            duplicate = stack.enter_context(socket.socket(fileno=socket.dup(fileno)))
            timer = call_later(seconds, shut_down)
        except (OSError, RuntimeError) as error:
            raise psycopg.OperationalError(f"the connection cannot be pinged: {error}") from error
        stack.callback(timer.cancel)
        try:
            yield
        except errors as error:
            if not has_fired:
                raise
            failure = error
    if has_fired:
        raise PingTimeout(f"no answer within {seconds:.2g} s") from failure


def call_in_thread(seconds: float, function: Callable[[], None]) -> threading.Timer:
    """Call a function after so many seconds, in a thread of its own."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
    return timer
