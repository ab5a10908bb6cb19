"""The difference between the server's clock and this machine's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, milliseconds, passed, warned

TOLERANCE = 1.0
"""Seconds that clocks may differ: a job is due by the server's clock, and scheduled by the application's."""


def run(context: HostContext) -> Iterator[Result]:
    """Compare the clocks over the fastest of three round trips."""
    round_trip, ahead = min(_compare(context.session) for _ in range(3))
    value = {"seconds_ahead": round(ahead, 3), "round_trip_milliseconds": milliseconds(round_trip)}
    measured = f"round trip {milliseconds(round_trip)} ms"
    if abs(ahead) <= TOLERANCE + round_trip / 2:
        message = f"within {TOLERANCE:g} s of this machine's ({measured})"
        yield passed("clock", message, value=value)
        return
    direction = "ahead of" if ahead > 0 else "behind"
    message = (
        f"{abs(ahead):.1f} s {direction} this machine's ({measured}): scheduled jobs run at the wrong time"
    )
    yield warned("clock", message, "synchronize both machines with NTP", value=value)


def _compare(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    """Return the duration of a round trip, and how far the server's clock is ahead, in seconds."""
    before = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    after = time.time()
    assert row is not None
    return after - before, row[0] - (before + after) / 2
