"""Pool options as the sources give them to the reading function."""

from __future__ import annotations

from collections.abc import Mapping

from procrastinate_conn.origins import Located, Origin
from procrastinate_conn.pool import PoolOptions, read_pool_options
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import ConnectorKind

ASYNC_KINDS = (ConnectorKind.PSYCOPG, ConnectorKind.AIOPG)
SYNC_KINDS = (ConnectorKind.SYNC_PSYCOPG, ConnectorKind.PSYCOPG2, ConnectorKind.SQLALCHEMY_PSYCOPG2)
PSYCOPG_KINDS = (ConnectorKind.PSYCOPG, ConnectorKind.SYNC_PSYCOPG)

NULL = Located("null", Origin("environment", "PROCRASTINATE_CONN_POOL"))


def origin_of(name: str, line: int = 1) -> Origin:
    return Origin("dotenv", f"PROCRASTINATE_CONN_POOL__{name.upper()}", ".env", line)


def located(options: Mapping[str, object]) -> dict[str, Located]:
    """Every option on a line of its own."""
    return {
        name: Located(value, origin_of(name, line))
        for line, (name, value) in enumerate(options.items(), start=1)
    }


def read(
    options: Mapping[str, object], kind: ConnectorKind = ConnectorKind.PSYCOPG, *, null: bool = False
) -> tuple[PoolOptions, list[Problem]]:
    return read_pool_options(located(options), kind, NULL if null else None)


def errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]
