"""What each pool option is, for people and for editors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from procrastinate_conn.imports import OBJECT_PATH
from procrastinate_conn.pool.conversion import DURATION, described_type
from procrastinate_conn.pool.introspection import Parameter, installed_version
from procrastinate_conn.pool.limits import LIMITS
from procrastinate_conn.pool.option_names import vocabulary
from procrastinate_conn.redaction import format_value
from procrastinate_conn.registry import ConnectorKind

_TEXTS = {
    "connection_class": ("", "The class of the connections; an asynchronous kind takes a pair as well."),
    "min_size": ("connections", "How many connections the pool keeps."),
    "max_size": ("connections", "How many connections the pool has at most; none means min_size."),
    "configure": ("", "Called with each new connection, to set it up."),
    "check": ("", "Called with a connection before it is handed out; raises if the connection is bad."),
    "reset": ("", "Called with each connection that comes back, to clean it up."),
    "name": ("", "What the pool is called in log records."),
    "close_returns": ("", "Whether closing a connection returns it to the pool."),
    "timeout": ("seconds", "How long a caller waits for a connection."),
    "max_waiting": ("callers", "How many callers may wait at a time; 0 means any number."),
    "max_lifetime": ("seconds", "The age at which a connection is replaced; spread out a little."),
    "max_idle": ("seconds", "How long a connection beyond min_size may be unused before it is closed."),
    "reconnect_timeout": ("seconds", "How long the pool tries to connect before it calls reconnect_failed."),
    "reconnect_failed": ("", "Called with the pool when it has given up trying to connect."),
    "num_workers": ("workers", "How many threads or tasks maintain the pool."),
    "check_after": (
        "seconds",
        "How long a connection may be idle and still be handed out unasked; 0: never.",
    ),
    "prepare_threshold": (
        "executions",
        "How often a query runs on a connection before psycopg prepares it there; none: it never does.",
    ),
}


@dataclass(frozen=True, slots=True)
class OptionDescription:
    """An option in words.

    Parameters
    ----------
    name
        The option.
    type
        What can be written, in words.
    unit
        What a number counts; empty where it counts nothing.
    default
        What is in force where nothing is stated, as it is written.
    text
        What it is for, in a sentence.
    """

    name: str
    type: str
    unit: str
    default: str
    text: str


def describe(*, null: bool = False) -> tuple[OptionDescription, ...]:
    """Describe every option that the installed psycopg_pool takes, and our own.

    Parameters
    ----------
    null
        Whether it is about null pools, which have other defaults.
    """
    return tuple(_described(parameter) for parameter in vocabulary(ConnectorKind.PSYCOPG, null=null).values())


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the pool section: ``null`` in quotes, or an object of options."""
    known = vocabulary(ConnectorKind.PSYCOPG, null=False)
    return {
        "title": "Pool options",
        "anyOf": [
            {"const": "null", "description": "A null pool: every call has a connection of its own."},
            {
                "type": "object",
                "properties": {name: _schema(parameter) for name, parameter in known.items()},
                "additionalProperties": False,
            },
        ],
    }


def _described(parameter: Parameter) -> OptionDescription:
    unit, text = _texts(parameter.name)
    return OptionDescription(
        name=parameter.name,
        type=_type(parameter),
        unit=unit,
        default=format_value(parameter.default),
        text=text,
    )


def _texts(name: str) -> tuple[str, str]:
    return _TEXTS.get(name, ("", f"An option of psycopg_pool {installed_version()}."))


def _type(parameter: Parameter) -> str:
    if parameter.is_class:
        return "a class, or package.module:Class"
    if parameter.is_callback:
        return "a function, or package.module:function; or a pair of them, the asynchronous one first"
    return described_type(parameter)


def _schema(parameter: Parameter) -> dict[str, Any]:
    unit, text = _texts(parameter.name)
    schema: dict[str, Any] = {"description": f"{text} In seconds." if unit == "seconds" else text}
    if parameter.is_callback or parameter.is_class:
        return schema | _importable(parameter)
    schema["default"] = parameter.default
    limits = _limits(parameter.name)
    types = [_limited(member, limits) for member in _members(TypeAdapter(parameter.annotation).json_schema())]
    if float in parameter.members:
        types.append({"type": "string", "pattern": f"^{DURATION}$"})
    return schema | (types[0] if len(types) == 1 else {"anyOf": types})


def _importable(parameter: Parameter) -> dict[str, Any]:
    one = {"type": "string", "pattern": f"^{OBJECT_PATH}$"}
    pair = [
        {"type": "string", "pattern": f"^{OBJECT_PATH},{OBJECT_PATH}$"},
        {"type": "array", "items": one, "minItems": 2, "maxItems": 2},
    ]
    if parameter.is_class:
        return {"anyOf": [one, *pair]}
    return {"anyOf": [one, *pair, {"type": "null"}], "default": None}


def _members(schema: dict[str, Any]) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return members


def _limited(schema: Mapping[str, Any], limits: Mapping[str, float]) -> dict[str, Any]:
    return {**schema, **(limits if schema.get("type") in ("integer", "number") else {})}


def _limits(name: str) -> dict[str, float]:
    if name not in LIMITS:
        return {}
    allowed = LIMITS[name]
    bounds = {"minimum": allowed.least, "exclusiveMinimum": allowed.above, "maximum": allowed.most}
    return {keyword: bound for keyword, bound in bounds.items() if bound is not None}
