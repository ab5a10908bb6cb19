"""Times that were surely meant in another unit than libpq's."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule

TIME_IN_ANOTHER_UNIT = Rule(
    "PC220",
    "time that is in another unit",
    "libpq counts seconds, and milliseconds in tcp_user_timeout alone. A thousand times too long, a host that"
    " is silent is waited for for hours; a thousand times too short, every connection is cut off.",
    "Write the time in the unit that the message names.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_CONNECTION__CONNECT_TIMEOUT=5000"),
)


TOO_LONG = {"connect_timeout": 1_000, "keepalives_idle": 10_000, "keepalives_interval": 1_000}
"""Seconds from which on they were milliseconds: systems wait two hours before they send keepalives."""

TOO_SHORT = {"tcp_user_timeout": 1_000}
"""Milliseconds below which they were seconds; 0 is the system's default."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield a finding for each time that is a thousand times too long or too short.

    Parameters
    ----------
    configuration
        A value that libpq refuses is a finding by itself.
    """
    for keyword, sourced in configuration.connection.effective.items():
        number = libpq.integer(str(sourced.value))
        if number is not None and (fault := _fault(keyword, number)):
            message, hint = fault
            yield TIME_IN_ANOTHER_UNIT(f"connection.{keyword}", message, hint=hint, origin=sourced.origin)


def _fault(keyword: str, number: int) -> tuple[str, str] | None:
    """Return what is wrong with a time, and what to do."""
    if keyword in TOO_LONG and number >= TOO_LONG[keyword]:
        message = f"{keyword} is {number} s, which is {_in_words(number)}"
        return message, f"write {max(1, round(number / 1000))} if milliseconds were meant"
    if keyword in TOO_SHORT and 0 < number < TOO_SHORT[keyword]:
        return f"{keyword} is {number} ms", f"write {number * 1000} if seconds were meant"
    return None


def _in_words(seconds: int) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds // 60} minutes"
