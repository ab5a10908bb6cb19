"""What is decided about acquiring a connection, without I/O; the pools carry it out."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
from psycopg_pool import PoolClosed, TooManyRequests

PING_TIMEOUT = 5.0
"""Seconds that a connection has to answer a ping, at most. Without a limit callers wait for the operating
system to give up, and for ever if a middlebox acknowledges and does not answer."""

PINGS_PER_TIMEOUT = 4
"""One ping takes at most this part of a caller's `timeout`, and the next one half of it."""

LOSS_WINDOW = 60.0
"""Seconds after a loss during which the connection that replaced the lost one may be lost, too."""

RECONNECT_INTERVAL = 5.0
"""Seconds between two attempts to replace a connection, at most. psycopg_pool doubles them without a limit:
after an outage of minutes it would sleep for minutes more."""

RECONNECT_PAUSE = 1.0
"""Seconds between two attempts, at least."""


class PingTimeout(psycopg.OperationalError):
    """A connection did not answer a ping in time."""


class Liveness:
    """What is known of a connection without a round trip. It stands on the connection as ``liveness``.

    `is_terminated` means that the session is of no more use: a notice has announced its end, or an error that
    the server rejects its queries. libpq may read the notice together with the result of a query, and then
    the socket is silent until the server process ends. `is_readable` tells whether the socket is not silent.
    """

    __slots__ = ("idle_since", "is_readable", "is_terminated", "made_at")

    is_readable: Callable[[], object]

    def __init__(self) -> None:
        self.idle_since = self.made_at = monotonic()
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
        self._waited = 0.0  # counted, since a test may freeze the clock
        self._max_size = max_size
        self._errors = errors

    def seconds_left(self) -> float:
        """Return the seconds until the caller's timeout, negative after it."""
        return min(self._deadline - monotonic(), self.timeout - self._waited)

    def waited(self, seconds: float) -> None:
        """Note that the caller has waited for so long."""
        self._waited += seconds

    def has_timed_out(self, seconds_left: float) -> bool:
        """Tell whether to give up; with a timeout of 0, only after the first try."""
        return seconds_left <= 0 and self._failures > 0

    def ping_timeout(self) -> float:
        """Return the seconds that a connection has to answer: fewer after each one that did not."""
        longest = min(PING_TIMEOUT, self.timeout / PINGS_PER_TIMEOUT)
        return max(0.1, min(longest / 2.0 ** min(self._unanswered, 8), self.seconds_left()))

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


class Reconnection:
    """When a pool connects anew after a loss: one attempt at a time, until one succeeds.

    So a server that comes back gets one attempt of each pool, at a random moment, and not all at once. The
    pool's other tasks that connect are held meanwhile.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._is_in_doubt = False  # whether the server is there
        self._is_trying = False
        self._next: object = None  # the task that is scheduled
        self._held: list[Any] = []
        self._failures = 0

    def lost(self) -> None:
        """Note that a connection was lost, and maybe the server."""
        self._is_in_doubt = True

    def admits(self, task: Any) -> bool:
        """Tell whether a task may connect now; otherwise it is held."""
        with self._changing:
            is_next = task is self._next
            if is_next:
                self._next = None
            elif self._is_in_doubt and (self._is_trying or self._next is not None):
                self._held.append(task)
                return False
            self._is_trying = self._is_in_doubt
            return True

    def failed(self, task: Any) -> float | None:
        """Return the seconds until a task whose attempt has failed may try again; None if it is held."""
        with self._changing:
            self._is_in_doubt, self._is_trying = True, False
            if self._next is not None:
                self._held.append(task)
                return None
            self._next = task
            spread = min(0.5 * 2.0 ** min(self._failures, 8), RECONNECT_INTERVAL - 2 * RECONNECT_PAUSE)
            self._failures += 1
            return RECONNECT_PAUSE + random.uniform(0.0, spread)  # noqa: S311 - it is no secret

    def gave_up(self) -> list[Any]:
        """Return the task that tries next, if any, since another tries no more."""
        with self._changing:
            self._is_trying = False
            return [] if self._next is not None or not self._held else [self._held.pop(0)]

    def succeeded(self) -> list[Any]:
        """Return the tasks that were held, since the server is there."""
        with self._changing:
            self._is_in_doubt = self._is_trying = False
            self._failures = 0
            held, self._held = self._held, []
            return held
