"""One caller's wait for a connection: how long it goes on, when to try again, what to say at its end."""

from __future__ import annotations

from time import monotonic

from psycopg_pool import PoolClosed, TooManyRequests

from procrastinate_conn.connectors.runtime.connection_factory import PING_TIMEOUT, ConnectionFactory
from procrastinate_conn.connectors.runtime.liveness import PingTimeout

RECONNECT_WITHIN = 5.0
"""Seconds between two attempts to replace a connection, at most. psycopg_pool doubles them without a limit:
after an outage of minutes it would sleep for minutes more."""


class AcquireAttempt:
    """A caller's wait for a connection that is alive.

    Parameters
    ----------
    connection_factory
        Knows why there is none.
    timeout
        Seconds that the caller waits.
    max_size
        Connections that may be left from before an outage, all of them dead.
    """

    def __init__(self, connection_factory: ConnectionFactory, timeout: float, max_size: int) -> None:
        self._dialler = connection_factory
        self._timeout = timeout
        self._deadline = monotonic() + timeout
        self._max_size = max_size
        self._attempts = 0
        self._silent = 0
        self._unfit: Exception | None = None

    def seconds_left(self) -> float:
        """Return the seconds that are left.

        Raises
        ------
        psycopg_pool.PoolTimeout
            It was tried, and none are left: psycopg_pool hands out what it has even then.
        """
        left = self._deadline - monotonic()
        if left <= 0 and self._attempts:
            self._dialler.raise_timeout("couldn't get a connection", self._timeout, self._unfit)
        return left

    def answers_within(self) -> float:
        """Return the seconds that a connection has to answer: fewer after each that was silent."""
        return max(0.1, min(PING_TIMEOUT / 2.0 ** min(self._silent, 8), self._deadline - monotonic()))

    def pause_without(self, error: Exception) -> float:
        """Return the seconds to wait where the pool had no connection to give: ever longer.

        Raises
        ------
        psycopg_pool.PoolClosed, psycopg_pool.TooManyRequests
            There will be none. Who has waited his turn already is not sent away for the number of callers.
        """
        if isinstance(error, PoolClosed) or (isinstance(error, TooManyRequests) and not self._attempts):
            raise error
        self._attempts += 1
        if isinstance(error, TooManyRequests):
            return self._at_most(0.1)
        return self._at_most(min(0.5 * 2.0 ** min(self._attempts - 1, 4), RECONNECT_WITHIN))

    def pause_after(self, unfit: Exception) -> float:
        """Return the seconds to wait after a dead connection: none while they may be left from an outage."""
        self._unfit = unfit
        self._silent += isinstance(unfit, PingTimeout)
        self._attempts += 1
        return self._at_most(min(0.1 * max(0, self._attempts - 1 - self._max_size), 1.0))

    def _at_most(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._deadline - monotonic()))
