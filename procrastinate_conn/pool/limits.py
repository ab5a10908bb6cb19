"""The range of each option: what psycopg_pool refuses, and what it takes and then cannot work with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from procrastinate_conn.pool.refused import InvalidOption
from procrastinate_conn.redaction import describe_value, format_value
from procrastinate_conn.rules import Example, Rule

OUT_OF_RANGE = Rule(
    "PC303",
    "pool option out of range",
    "A time of zero or less makes every call fail or the pool work without rest; no server takes a negative"
    " or an enormous number of connections.",
    "Write a value within the range that the message gives.",
    example=Example("PROCRASTINATE_CONN_POOL__TIMEOUT=0"),
)


MOST_CONNECTIONS = 262_143
"""As many as max_connections of a PostgreSQL server can be."""
LARGEST = 2**31 - 1
"""What a C int holds: the pool hands a caller's remaining time to libpq as connect_timeout."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values that an option may have.

    Parameters
    ----------
    least, most
        The bounds; both are allowed themselves.
    above
        What the value has to be greater than, where the lower bound itself is not allowed.
    """

    least: float | None = None
    most: float = LARGEST
    above: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and value <= self.most
        )

    def __str__(self) -> str:
        """Read like ``between 0 and 262143``."""
        if self.above is not None:
            return f"greater than {self.above} and at most {self.most}"
        return f"at most {self.most}" if self.least is None else f"between {self.least} and {self.most}"


LIMITS = {
    "min_size": Range(0, MOST_CONNECTIONS),
    "max_size": Range(0, MOST_CONNECTIONS),
    "num_workers": Range(1, MOST_CONNECTIONS),
    "max_waiting": Range(0),
    # psycopg_pool gives no connection at all within no time, takes each for expired at once, and
    # looks for idle ones without a pause.
    "timeout": Range(above=0),
    "max_lifetime": Range(above=0),
    "max_idle": Range(above=0),
    "reconnect_timeout": Range(0),  # 0: one more attempt, at once
    "check_after": Range(0),
    "prepare_threshold": Range(0),
}


def require_in_range(name: str, value: object) -> None:
    """Judge a converted value by itself.

    Raises
    ------
    InvalidOption
        A number is outside the option's range, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidOption(
            OUT_OF_RANGE,
            f"{name} is {value}, which is no length of time that a pool can wait",
            "for a very long time write 365d",
        )
    allowed = LIMITS.get(name, Range())
    if value not in allowed:
        told = format_value(value) if isinstance(value, float) else describe_value(value)
        raise InvalidOption(OUT_OF_RANGE, f"{name} is {told}, and has to be {allowed}")
