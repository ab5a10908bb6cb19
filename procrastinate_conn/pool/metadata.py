"""The pool options for documentation and for the JSON Schema of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from procrastinate_conn.imports import OBJECT_PATH
from procrastinate_conn.pool.conversion import DURATION, RANGES, type_in_words
from procrastinate_conn.pool.parameters import Parameter, known_options
from procrastinate_conn.redaction import format_value
from procrastinate_conn.registry import DEFAULT_KIND

_TEXTS = {
    "connection_class": ("", "The class of the connections; an asynchronous kind takes a pair as well."),
    "min_size": ("connections", "How many connections the pool keeps."),
    "max_size": ("connections", "How many connections the pool has at most; none means min_size."),
    "configure": ("", "Called with each new connection, to set it up."),
    "check": ("", "Called with a connection before it is handed out; raises if the connection is bad."),
    "reset": ("", "Called with each connection that comes back, to clean it up."),
    "name": ("", "The name of the pool in log records."),
    "close_returns": ("", "Whether closing a connection returns it to the pool."),
    "timeout": ("seconds", "How long a caller waits for a connection."),
    "max_waiting": ("callers", "How many callers may wait at a time; 0 means any number."),
    "max_lifetime": ("seconds", "The age at which a connection is replaced; spread out a little."),
    "max_idle": ("seconds", "How long a connection beyond min_size may be unused before it is closed."),
    "reconnect_timeout": ("seconds", "How long the pool tries to connect before it calls reconnect_failed."),
    "reconnect_failed": ("", "Called with the pool when it gives up trying to connect."),
    "num_workers": ("workers", "How many threads or tasks maintain the pool."),
    "check_after": (
        "seconds",
        "How long a connection may be idle and still be handed out without a ping; 0 pings before every use.",
    ),
    "response_timeout": (
        "seconds",
        "How long a worker waits for the response to a query of its own; 0: without a limit.",
    ),
    "prepare_threshold": (
        "executions",
        "How often a query runs on a connection before psycopg prepares it; none for never.",
    ),
}


class OptionDescription(NamedTuple):
    """A pool option in words, and as a JSON Schema."""

    name: str
    type: str
    unit: str  # what a number counts; empty if there is none
    default: str
    text: str
    json_schema: dict[str, Any]


def describe() -> Iterator[OptionDescription]:
    """Describe every supported option."""
    for name, option in known_options(DEFAULT_KIND).items():
        unit, text = _TEXTS[name]
        types = list(_callable_types(option) if option.is_callable else _types(option))
        schema = {
            "description": f"{text} In seconds." if unit == "seconds" else text,
            **({} if option.is_class else {"default": option.default}),
            **(types[0] if len(types) == 1 else {"anyOf": types}),
        }
        type_, default = type_in_words(option), format_value(option.default)
        yield OptionDescription(name, type_, unit, default, text, schema)


def _callable_types(option: Parameter) -> Iterator[Mapping[str, Any]]:
    path = {"type": "string", "pattern": f"^{OBJECT_PATH}$"}
    yield path
    yield {"type": "string", "pattern": f"^{OBJECT_PATH},{OBJECT_PATH}$"}
    yield {"type": "array", "items": path, "minItems": 2, "maxItems": 2}
    if option.nullable:
        yield {"type": "null"}


def _types(option: Parameter) -> Iterator[Mapping[str, Any]]:
    schema = TypeAdapter(option.annotation).json_schema()
    for member in schema.get("anyOf", [schema]):
        is_number = member.get("type") in ("integer", "number")
        yield {**member, **RANGES[option.name].json_schema()} if is_number else member
    if float in option.members:
        yield {"type": "string", "pattern": f"^{DURATION}$"}
