"""From what is written to the type that the pool's signature declares."""

from __future__ import annotations

import json
import re

from pydantic import ConfigDict, TypeAdapter, ValidationError

from procrastinate_conn.pool.introspection import Parameter
from procrastinate_conn.pool.refused import InvalidOption
from procrastinate_conn.redaction import describe_value, format_value
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.suggestions import LEAVE_OUT_QUOTES, is_quoted

WRONG_TYPE = Rule(
    "PC302",
    "pool option of the wrong type",
    "The pool does not look at types: it fails later, on a comparison or an addition, far from the cause.",
    "Write a value of the option's type: a number, a duration such as 30s, true or false, none.",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=four"),
)


DURATION = r"([+-]?[\d.]+(?:e[+-]?\d+)?)\s*(ms|s|min|m|h|d)"
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def converted(parameter: Parameter, value: object) -> object:
    """Return `value` in the type of `parameter`, which is neither a callback nor a class.

    Parameters
    ----------
    parameter
        The option.
    value
        Text is converted by the annotation, and ``none``, ``30s``, ``5m``, ``1h``, ``500ms`` and JSON are
        read where the type has a use for them. Anything else has to be of the type already.

    Raises
    ------
    InvalidOption
        It is not of that type.
    """
    is_text = isinstance(value, str)
    try:
        value = _read(parameter, value) if isinstance(value, str) else value
        adapter = TypeAdapter[object](parameter.annotation, config=ConfigDict(arbitrary_types_allowed=True))
        return adapter.validate_python(value, strict=not is_text)
    except ValidationError:
        raise InvalidOption(
            WRONG_TYPE,
            f"{parameter.name} is {describe_value(value)}, and has to be {described_type(parameter)}",
            LEAVE_OUT_QUOTES if is_quoted(value) else _hint(parameter),
        ) from None


def _hint(parameter: Parameter) -> str:
    if parameter.is_callback:
        return ""
    if parameter.default is None:  # that none is the default would be said of a value that none is not
        return (
            "write a whole number, such as 8, or leave it out" if int in parameter.members else "leave it out"
        )
    return f"leave it out for the default, {format_value(parameter.default)}"


def _read(parameter: Parameter, text: str) -> object:
    """Take out of the text what pydantic does not read."""
    text = text.strip()
    if parameter.nullable and text.lower() in ("none", "null"):
        return None
    if float in parameter.members and (match := re.fullmatch(DURATION, text.lower())):
        return _duration(*match.groups())
    if parameter.is_mapping:
        return _json(text)
    return text


def _duration(number: str, unit: str) -> object:
    try:
        return float(number) * _SECONDS[unit]
    except ValueError:  # 1.2.3s
        return number + unit


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def described_type(parameter: Parameter) -> str:
    """Return the option's type in words: ``a whole number, or none``."""
    words = [_WORDS.get(member, getattr(member, "__name__", str(member))) for member in parameter.members]
    return ", or ".join(words)


_WORDS = {
    int: "a whole number",
    float: "a number of seconds or a duration such as 30s, 5m, 1h",
    bool: "true or false",
    str: "text",
    type(None): "none",
}
