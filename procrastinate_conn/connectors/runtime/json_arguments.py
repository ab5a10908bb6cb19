"""The arguments of procrastinate's queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def wrap_json(arguments: Mapping[str, Any], as_json: Callable[[dict[Any, Any]], object]) -> dict[str, Any]:
    """Return a query's arguments as procrastinate's connectors pass them: every dict as JSON.

    Parameters
    ----------
    arguments
        The query's arguments.
    as_json
        The driver's wrapper for a value that is to become JSON.
    """

    def adapt(value: Any) -> Any:
        if isinstance(value, dict):
            return as_json(value)
        if isinstance(value, list):
            return [adapt(item) for item in value]
        if isinstance(value, tuple):
            return tuple(adapt(item) for item in value)
        return value

    return {name: adapt(value) for name, value in arguments.items()}
