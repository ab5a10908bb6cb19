"""The arguments of procrastinate's queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def wrap_json(arguments: Mapping[str, Any], wrapper: Callable[[dict[Any, Any]], object]) -> dict[str, Any]:
    """Return a query's arguments with every dict in the driver's wrapper for JSON."""

    def wrap(value: Any) -> Any:
        if isinstance(value, dict):
            return wrapper(value)
        if isinstance(value, list):
            return [wrap(item) for item in value]
        if isinstance(value, tuple):
            return tuple(map(wrap, value))
        return value

    return {name: wrap(value) for name, value in arguments.items()}
