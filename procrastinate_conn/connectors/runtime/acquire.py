"""What is decided about acquiring a connection, without I/O; the pools carry it out."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

import psycopg
from psycopg_pool import PoolClosed, TooManyRequests

PING_TIMEOUT = 5.0
"""Seconds that a connection has to answer a ping. Without a limit callers wait for the operating system to
give up, and for ever if a middlebox acknowledges and does not answer."""

LOSS_WINDOW = 60.0
"""Seconds after a loss during which the connection that replaced the lost one may be lost, too."""

RECONNECT_INTERVAL = 5.0
"""Seconds between two attempts to replace a connection, at most. psycopg_pool doubles them without a limit:
after an outage of minutes it would sleep for minutes more."""


class PingTimeout(psycopg.OperationalError):
    """A connection did not answer a ping in time."""


class Liveness:
    """What is known of a connection without a round trip. It stands on the connection as ``liveness``.

    `is_terminated` means that a notice has announced the end of the session. libpq may read it together with
    the result of a query, and then the socket is silent until the server process ends. `is_readable` tells
    whether the socket is not silent.
    """

    __slots__ = ("idle_since", "is_readable", "is_terminated")

    is_readable: Callable[[], object]

    def __init__(self) -> None:
        self.idle_since = monotonic()
        self.is_terminated = False

    def mark_new(self, last_loss: float) -> None:
        """Note that the connection is new; whatever has ended others lately may end it, too."""
        now = monotonic()
        self.idle_since = -math.inf if now - last_loss < LOSS_WINDOW else now

    def should_ping(self, check_after: float) -> bool:
        """Tell whether only a round trip can tell that the connection is alive.

        After `check_after` seconds of idleness a firewall may have dropped it without telling either side.
        """
        return self.is_terminated or monotonic() - self.idle_since >= check_after or bool(self.is_readable())


class AcquireAttempt:
    """One caller's attempt, for `timeout` seconds, to acquire a connection that is alive.

    Its first try was at `started` on the monotonic clock. `max_size` connections may be left from before an
    outage, all of them dead. `errors` are those of dead connections, and of a pool that has none to give.
    """

    pause = 0.0  # seconds to wait before the next try
    rejection: Exception | None = None  # why the last connection was discarded
    _failures = 0
    _unanswered = 0

    def __init__(
        self, timeout: float, max_size: int, started: float, errors: tuple[type[Exception], ...]
    ) -> None:
        self.timeout = timeout
        self._deadline = started + timeout
        self._max_size = max_size
        self._errors = errors

    def seconds_left(self) -> float:
        """Return the seconds until the caller's timeout, negative after it."""
        return self._deadline - monotonic()

    def has_timed_out(self, seconds_left: float) -> bool:
        """Tell whether to give up; with a timeout of 0, only after the first try."""
        return seconds_left <= 0 and self._failures > 0

    def ping_timeout(self) -> float:
        """Return the seconds that a connection has to answer: fewer after each one that did not."""
        return max(0.1, min(PING_TIMEOUT / 2.0 ** min(self._unanswered, 8), self.seconds_left()))

    def failed(self, error: BaseException | None) -> None:
        """Note that the pool had no connection to give; raise the error if there will be none.

        A caller who has waited in turn is not rejected for the number of callers.
        """
        assert error is not None
        is_final = isinstance(error, PoolClosed) or (
            isinstance(error, TooManyRequests) and not self._failures
        )
        if is_final or not isinstance(error, self._errors):
            raise error
        self._failures += 1
        if isinstance(error, TooManyRequests):
            self._set_pause(0.1)
        else:
            self._set_pause(min(0.5 * 2.0 ** min(self._failures - 1, 4), RECONNECT_INTERVAL))

    def rejected(self, reason: BaseException) -> None:
        """Note that a connection was discarded; there is no pause while they may be left from an outage.

        A signal's exception, or that of a cancelled task, is raised: its caller is out of time.
        """
        if not isinstance(reason, self._errors):
            raise reason
        self.rejection = reason
        self._unanswered += isinstance(reason, PingTimeout)
        self._failures += 1
        self._set_pause(min(0.1 * max(0, self._failures - 1 - self._max_size), 1.0))

    def _set_pause(self, seconds: float) -> None:
        self.pause = max(0.0, min(seconds, self.seconds_left()))
