"""Values: from text to the type that the pool's signature declares, and within the option's range."""

from __future__ import annotations

import re
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from procrastinate_conn.pool.parameters import Parameter
from procrastinate_conn.problems import Example, Rule
from procrastinate_conn.redaction import describe_value, format_value

WRONG_TYPE = Rule(
    "PC302",
    "pool option of the wrong type",
    "The pool does not check types: it fails later, on a comparison or an addition, far from the cause.",
    "Write a value of the option's type: a number, a duration such as 30s, true or false, none.",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=four"),
)

OUT_OF_RANGE = Rule(
    "PC303",
    "pool option out of range",
    "A time of zero or less makes every call fail or the pool work without pause; no server takes a negative"
    " or an enormous number of connections.",
    "Write a value within the range that the message gives.",
    example=Example("PROCRASTINATE_CONN_POOL__TIMEOUT=0"),
)

MAX_CONNECTIONS = 262_143
"""The largest max_connections of a PostgreSQL server."""
INT_MAX = 2**31 - 1
"""The largest C int: the pool passes a caller's remaining time to libpq as connect_timeout."""

DURATION = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(ms|s|min|m|h|d)"
_LONG_DURATION = r"(?i)(\d+)\s*(s(?=ec)|m(?=in)|h(?=r|our)|d(?=ay))[a-z]+"
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_TYPE_NAMES = {
    int: "a whole number",
    float: "a number of seconds or a duration such as 30s, 5m, 1h",
    bool: "true or false",
    str: "text",
    type(None): "none",
}


class Range(NamedTuple):
    """The values that an option may have; `maximum` is one of them, `minimum` if it is not exclusive."""

    minimum: float
    maximum: float = INT_MAX
    exclusive: bool = False

    def includes(self, value: float) -> bool:
        """Return whether a value is within the range."""
        return self.minimum < value <= self.maximum or (value == self.minimum and not self.exclusive)

    def json_schema(self) -> dict[str, float]:
        """Return the range as keywords of JSON Schema."""
        minimum = "exclusiveMinimum" if self.exclusive else "minimum"
        return {minimum: self.minimum, "maximum": self.maximum}

    def __str__(self) -> str:
        """Read like ``between 0 and 262143``."""
        if self.exclusive:
            return f"greater than {self.minimum} and at most {self.maximum}"
        return f"between {self.minimum} and {self.maximum}"


RANGES = {
    "min_size": Range(0, MAX_CONNECTIONS),
    "max_size": Range(0, MAX_CONNECTIONS),
    "num_workers": Range(1, MAX_CONNECTIONS),
    "max_waiting": Range(0),
    # With 0, psycopg_pool hands out no connection at all, treats each as expired at once, or looks for idle
    # ones without a pause.
    "timeout": Range(0, exclusive=True),
    "max_lifetime": Range(0, exclusive=True),
    "max_idle": Range(0, exclusive=True),
    "reconnect_timeout": Range(0),  # 0: one more attempt, at once
    "check_after": Range(0),
    "response_timeout": Range(0),
    "prepare_threshold": Range(0),
}


class InvalidOption(Exception):
    """A pool option breaks a rule."""

    def __init__(self, rule: Rule, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.rule, self.message, self.hint = rule, message, hint


def convert(parameter: Parameter, value: object) -> object:
    """Return a value in the type of its parameter, which is neither a callback nor a class.

    Text is converted by the annotation, and may be a duration or ``none``. Anything else has to be of the
    type already. `InvalidOption` is raised if the type or the range is wrong.
    """
    name = parameter.name
    try:
        converted = TypeAdapter[object](parameter.annotation).validate_python(
            _parse(parameter, value), strict=not isinstance(value, str)
        )
    except ValidationError:
        message = f"{name} is {describe_value(value)}, and has to be {type_in_words(parameter)}"
        raise InvalidOption(WRONG_TYPE, message, _hint(parameter, value)) from None
    if name in RANGES and isinstance(converted, int | float) and not RANGES[name].includes(converted):
        number = format_value(converted) if isinstance(converted, float) else describe_value(converted)
        hint = "for a very long time write 365d" if number in ("inf", "nan") else ""
        raise InvalidOption(OUT_OF_RANGE, f"{name} is {number}, and has to be {RANGES[name]}", hint)
    return converted


def _parse(parameter: Parameter, value: object) -> object:
    """Read the notations that pydantic does not."""
    if parameter.nullable and is_none(value):
        return None
    if not isinstance(value, str):
        return value
    text = value.strip()
    if float in parameter.members and (match := re.fullmatch(DURATION, text.lower())):
        return float(match[1]) * _SECONDS[match[2]]
    return text


def is_none(value: object) -> bool:
    """Return whether a value is None, or text that stands for it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in ("none", "null"))


def _hint(parameter: Parameter, value: object) -> str:
    long = re.fullmatch(_LONG_DURATION, value.strip()) if isinstance(value, str) else None
    if long and float in parameter.members:
        return f"write {long[1]}{long[2].lower()}"
    if parameter.default is not None:
        return f"leave it out for the default, {format_value(parameter.default)}"
    # Not "the default, none": who wrote a value wanted another one.
    return "write a whole number, such as 8, or leave it out" if int in parameter.members else "leave it out"


def type_in_words(parameter: Parameter) -> str:
    """Return the option's type in words: ``a whole number, or none``."""
    if parameter.is_class:
        return "a class, or package.module:Class"
    if parameter.is_callable:
        return "a function, or package.module:function; or a pair of them, the asynchronous one first"
    return ", or ".join(_TYPE_NAMES.get(member, str(member)) for member in parameter.members)
