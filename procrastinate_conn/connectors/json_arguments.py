"""Arguments of queries as the drivers take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

from procrastinate import sql

DEFER_JOBS = sql.queries["defer_jobs"]

_SAME_TEXT = frozenset((str, int, dict, datetime, type(None)))
"""Types of a job's values whose text is the same from every driver."""


def adapt_arguments(
    query: str,
    arguments: dict[str, Any],
    wrapper: Callable[[dict[Any, Any]], object],
    dumps: Callable[[Any], str],
) -> dict[str, Any] | None:
    """Return a query's arguments for a driver, every dict in its wrapper for JSON; None if there are none.

    Drivers look for placeholders if they get arguments, even an empty mapping. Jobs to defer are written as
    text, with `dumps` for JSON: psycopg takes four times as long for the same text.
    """
    if query == DEFER_JOBS and (text := jobs_as_text(arguments["jobs"], dumps)) is not None:
        return {"jobs": text}
    if not arguments and "%" not in str(query):
        return None
    return wrap_json(arguments, wrapper)


def jobs_as_text(jobs: list[tuple[Any, ...]], dumps: Callable[[Any], str]) -> str | None:
    """Return jobs to defer as PostgreSQL reads them; None if a driver may write a value otherwise."""
    if not _SAME_TEXT.issuperset(map(type, chain.from_iterable(jobs))):
        return None
    records = [_record(job, dumps).replace("\\", "\\\\").replace('"', '\\"') for job in jobs]
    quoted = ",".join([f'"{each}"' for each in records])
    return f"{{{quoted}}}"


def _record(values: tuple[Any, ...], dumps: Callable[[Any], str]) -> str:
    """Write a composite value as PostgreSQL reads it."""
    fields = []
    for value in values:
        if value is None:
            fields.append("")
            continue
        text = dumps(value) if isinstance(value, dict) else str(value)
        fields.append('"' + text.replace("\\", "\\\\").replace('"', '""') + '"')
    return f"({','.join(fields)})"


def wrap_json(arguments: Mapping[str, Any], wrapper: Callable[[dict[Any, Any]], object]) -> dict[str, Any]:
    """Return a query's arguments with every dict in the driver's wrapper for JSON."""
    return {
        name: _wrap(value, wrapper) if isinstance(value, _CONTAINERS) else value
        for name, value in arguments.items()
    }


_CONTAINERS = (dict, list, tuple)


def _wrap(value: Any, wrapper: Callable[[dict[Any, Any]], object]) -> Any:
    if isinstance(value, dict):
        return wrapper(value)
    items = [_wrap(item, wrapper) if isinstance(item, _CONTAINERS) else item for item in value]
    return items if isinstance(value, list) else tuple(items)
