"""procrastinate's queries for other drivers than psycopg: ``$1`` for ``%(name)s``, and values that they take.

psycopg sends a value with the type of the Python object; asyncpg takes the type that the server infers, and
rejects any other. So the types are written into the query, as psycopg would send them. What contains JSON is
written as text: the queries work on the application's connections too, whatever codecs these have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Jsonb

from procrastinate_conn.connectors.json_arguments import jobs_as_text, wrap_json

_PLACEHOLDER = re.compile(r"%(?:%|\((\w+)\)s)")

_CASTS = {bool: "::boolean", float: "::float8", Decimal: "::numeric", dict: "::text::jsonb"}
_CASTS_OF_LISTS = {dict: "::text[]::jsonb[]"}

_EMPTY_ARRAY = "'{}'"
"""It stands in the query: the elements of an empty list have no type, and asyncpg would need it."""

_INTEGERS = (("::int2", 15), ("::int4", 31), ("::int8", 63))
"""Types of integers, and the bits beside the sign."""


def translate(
    query: str, arguments: Mapping[str, Any], dumps: Callable[[Any], str] | None
) -> tuple[str, list[Any]]:
    """Return a query with ``$1`` and so on, and its arguments in that order; `dumps` writes JSON."""
    casts = tuple([_cast(value) for value in arguments.values()])
    statement, names = _numbered(query, tuple(arguments), casts)
    dumps = dumps or json.dumps
    return statement, [_adapt(arguments[name], dumps) for name in names]


def read_json(rows: list[dict[str, Any]], loads: Callable[[str], Any] | None) -> list[dict[str, Any]]:
    """Parse the JSON in rows of a connection whose codecs are unknown: without a codec, it is text."""
    loads = loads or json.loads
    for row in rows:
        for column in ("args", "stats"):  # of procrastinate's queries
            if isinstance(text := row.get(column), str):
                row[column] = loads(text)
    return rows


@lru_cache(maxsize=512)
def _numbered(query: str, names: tuple[str, ...], casts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return a query with numbered placeholders, and the names in the order of the numbers."""
    cast_of = dict(zip(names, casts, strict=True))
    numbers: dict[str, int] = {}

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "%"
        cast = cast_of[name]
        return cast if cast == _EMPTY_ARRAY else f"${numbers.setdefault(name, len(numbers) + 1)}{cast}"

    return _PLACEHOLDER.sub(replace, query), tuple(numbers)


def _cast(value: Any) -> str:
    """Return the cast to the type that psycopg would send, or the value itself."""
    kind = type(value)
    if kind is str or value is None:  # the server infers their types
        return ""
    if kind is int:
        return next((cast for cast, bits in _INTEGERS if -(1 << bits) <= value < 1 << bits), "::numeric")
    if isinstance(value, datetime):
        return "::timestamp" if value.tzinfo is None else "::timestamptz"
    is_list = isinstance(value, list)
    if is_list and not value:
        return _EMPTY_ARRAY
    if isinstance(value[0] if is_list else value, tuple):
        return "::text"
    return _CASTS_OF_LISTS.get(type(value[0]), "") if is_list else _CASTS.get(kind, "")


def _adapt(value: Any, dumps: Callable[[Any], str]) -> Any:
    if isinstance(value, dict):
        return dumps(value)
    if isinstance(value, tuple):
        return _written_by_psycopg(value, dumps)
    if not isinstance(value, list) or not value:
        return value
    if isinstance(value[0], tuple):
        text = jobs_as_text(value, dumps)
        return _written_by_psycopg(value, dumps) if text is None else text
    return [_adapt(item, dumps) for item in value]


def _written_by_psycopg(value: Any, dumps: Callable[[Any], str]) -> str:
    """Write composite values as psycopg does: the same lock has to be the same text from every connector."""
    [wrapped] = wrap_json({"value": value}, partial(Jsonb, dumps=dumps)).values()
    written = Transformer().get_dumper(wrapped, PyFormat.TEXT).dump(wrapped)
    return bytes(written or b"").decode()
