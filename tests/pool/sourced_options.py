"""Pool options as the sources give them to the reading function."""

from __future__ import annotations

from collections.abc import Mapping

from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool import PoolOptions, validate_pool_options
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import REGISTRY, ConnectorKind

ASYNC_KINDS = tuple(kind for kind in ConnectorKind if REGISTRY[kind].asynchronous)
SYNC_KINDS = tuple(kind for kind in ConnectorKind if not REGISTRY[kind].asynchronous)
PSYCOPG_KINDS = (ConnectorKind.PSYCOPG, ConnectorKind.SYNC_PSYCOPG)

NULL = SourcedValue("null", Origin("environment", "PROCRASTINATE_CONN_POOL"))


def origin_of(name: str, line: int = 1) -> Origin:
    return Origin("dotenv", f"PROCRASTINATE_CONN_POOL__{name.upper()}", ".env", line)


def sourced(options: Mapping[str, object]) -> dict[str, SourcedValue]:
    """Every option on a line of its own."""
    return {
        name: SourcedValue(value, origin_of(name, line))
        for line, (name, value) in enumerate(options.items(), start=1)
    }


def validate(
    options: Mapping[str, object], kind: ConnectorKind = ConnectorKind.PSYCOPG, *, null: bool = False
) -> tuple[PoolOptions, list[Problem]]:
    return validate_pool_options(sourced(options), kind, NULL if null else None)


def errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]
