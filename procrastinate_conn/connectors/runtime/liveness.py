"""Whether an idle connection is alive: told from its socket without a round trip, or asked in good time."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

import psycopg


def is_readable(fileno: int) -> bool:
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


class PingTimeout(psycopg.OperationalError):
    """A connection did not answer."""


@contextmanager
def shutdown_after(seconds: float, fileno: int, failures: tuple[type[Exception], ...]) -> Iterator[None]:
    """Shut a socket down after so many seconds, so that a driver that waits for an answer gets an error.

    Raises
    ------
    PingTimeout
        It did, which is one of `failures`.
    """
    with SocketWatchdog(fileno, seconds, failures) as line:
        timer = threading.Timer(seconds, line.hang_up)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:  # there are too many
            raise _cannot_be_asked(error) from error
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def shutdown_after_async(
    seconds: float, fileno: int, failures: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Do the same in an event loop; to cancel the task would make psycopg wait for the server once more."""
    with SocketWatchdog(fileno, seconds, failures) as line:
        timer = asyncio.get_running_loop().call_later(seconds, line.hang_up)
        try:
            yield
        finally:
            timer.cancel()


def _cannot_be_asked(why: Exception) -> Exception:
    return psycopg.OperationalError(f"the connection cannot be asked: {why}")


class SocketWatchdog:
    """A socket under a second number, which nobody else gets when the driver closes the first one.

    Parameters
    ----------
    fileno
        The first number.
    seconds
        After how many it is to be hung up.
    failures
        What the driver may raise then.
    """

    def __init__(self, fileno: int, seconds: float, failures: tuple[type[Exception], ...]) -> None:
        try:
            self._socket = socket.socket(fileno=socket.dup(fileno))
        except OSError as error:  # as above
            raise _cannot_be_asked(error) from error
        self._seconds = seconds
        self._failures = failures
        self._hung_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._socket.close()
        if self._hung_up and (error is None or isinstance(error, self._failures)):
            raise PingTimeout(f"no answer within {self._seconds:.2g} s") from error

    def hang_up(self) -> None:
        """Shut the socket down, where somebody is still waiting."""
        self._hung_up = True  # first, as the driver hears of it before this thread goes on
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
