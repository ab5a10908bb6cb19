"""The difference between the server's clock and this machine's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, milliseconds, passed, warned

TOLERANCE = 1.0
"""Seconds that clocks may differ: a job is due by the server's clock, and scheduled by the application's."""


def examine(patient: Patient) -> Iterator[Result]:
    """Compare the clocks over the fastest of three round trips."""
    round_trip, ahead = min(_compare(patient.session) for _ in range(3))
    value = {"seconds_ahead": round(ahead, 3), "round_trip_milliseconds": milliseconds(round_trip)}
    measured = f"round trip {milliseconds(round_trip)} ms"
    if abs(ahead) <= TOLERANCE + round_trip / 2:
        yield passed("clock", f"as this machine's, to {TOLERANCE:g} s ({measured})", value=value)
        return
    direction = "ahead of" if ahead > 0 else "behind"
    yield warned(
        "clock",
        f"{abs(ahead):.1f} s {direction} this machine's ({measured}): scheduled jobs run at the wrong time",
        "let both machines take their time from NTP",
        value=value,
    )


def _compare(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    """Return how long a round trip takes, and how far ahead the server is, in seconds."""
    before = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    after = time.time()
    assert row is not None
    return after - before, row[0] - (before + after) / 2
