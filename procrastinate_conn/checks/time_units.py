"""Times in another unit than libpq's."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Example, Problem, Rule

WRONG_TIME_UNIT = Rule(
    "PC220",
    "time in another unit",
    "libpq counts seconds, and milliseconds in tcp_user_timeout alone. A thousand times too long, and a"
    " silent host is waited for for hours; a thousand times too short, and every connection is cut off.",
    "Write the time in the unit that the message names.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_CONNECTION__CONNECT_TIMEOUT=5000"),
)

_MAX_SECONDS = {"connect_timeout": 1_000, "keepalives_idle": 10_000, "keepalives_interval": 1_000}
"""Seconds from which on milliseconds are meant: systems wait two hours before they send keepalives."""

_MIN_MILLISECONDS = {"tcp_user_timeout": 1_000}
"""Milliseconds below which seconds are meant; 0 is the system's default."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report each time that is a thousand times too long or too short."""
    for keyword, sourced in configuration.connection.effective.items():
        number = libpq.integer(str(sourced.value))
        if number is None:
            continue
        if number >= _MAX_SECONDS.get(keyword, number + 1):
            message = f"{keyword} is {number} s, which is {_format_duration(number)}"
            hint = f"write {max(1, round(number / 1000))} if milliseconds were meant"
        elif 0 < number < _MIN_MILLISECONDS.get(keyword, 0):
            message, hint = f"{keyword} is {number} ms", f"write {number * 1000} if seconds were meant"
        else:
            continue
        yield WRONG_TIME_UNIT(f"connection.{keyword}", message, hint=hint, origin=sourced.origin)


def _format_duration(seconds: int) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds // 60} minutes"
