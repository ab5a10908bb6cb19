"""Whether a connection's socket is silent, and a time limit for drivers that have none."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self

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


class SocketWatchdog:
    """Shuts a socket down after a time limit, so that a driver that waits for it gets an error.

    Cancelling the driver's task is not enough: psycopg would wait for the server once more.

    A duplicate of its descriptor is used, which stays valid when the driver closes its own. `errors` are
    those that the driver may raise then; they become a `PingTimeout`. `call_later` calls a function after so
    many seconds, and returns an object with ``cancel``.
    """

    def __init__(
        self,
        seconds: float,
        fileno: int,
        errors: tuple[type[Exception], ...],
        call_later: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self._seconds = seconds
        self._errors = errors
        self._has_fired = False
        try:
            self._socket = socket.socket(fileno=socket.dup(fileno))
        except OSError as error:
            raise _cannot_ping(error) from error
        try:
            self._timer = call_later(seconds, self._shut_down)
        except RuntimeError as error:
            self._socket.close()
            raise _cannot_ping(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._timer.cancel()
        self._socket.close()
        if self._has_fired and (error is None or isinstance(error, self._errors)):
            raise PingTimeout(f"no answer within {self._seconds:.2g} s") from error

    def _shut_down(self) -> None:
        self._has_fired = True  # first, as the driver may raise before the next line
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def call_in_thread(seconds: float, function: Callable[[], None]) -> threading.Timer:
    """Call a function after so many seconds, in a thread of its own."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
    return timer


def _cannot_ping(reason: Exception) -> Exception:
    return psycopg.OperationalError(f"the connection cannot be pinged: {reason}")
