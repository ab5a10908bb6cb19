"""Describe the PostgreSQL connection once; get any of procrastinate's connectors, ready to use.

Examples
--------
>>> import procrastinate
>>> from procrastinate_conn import make_connector
>>> app = procrastinate.App(connector=make_connector())  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procrastinate_conn.connection.spec import ConnectionSpec
    from procrastinate_conn.connectors.runtime.stats import PoolStats as PoolStats
    from procrastinate_conn.connectors.runtime.stats import pool_stats as pool_stats
    from procrastinate_conn.factory import make_connector
    from procrastinate_conn.origins import Origin
    from procrastinate_conn.pool import PoolOptions
    from procrastinate_conn.problems import ConfigurationError, Problem
    from procrastinate_conn.registry import ConnectorKind
    from procrastinate_conn.settings import ConnectorSettings

__all__ = [
    "ConfigurationError",
    "ConnectionSpec",
    "ConnectorKind",
    "ConnectorSettings",
    "Origin",
    "PoolOptions",
    "Problem",
    "make_connector",
]

# Imported when they are first used: a package that is only imported costs nothing and needs no driver.
_HOMES = {
    "ConfigurationError": "procrastinate_conn.problems",
    "ConnectionSpec": "procrastinate_conn.connection.spec",
    "ConnectorKind": "procrastinate_conn.registry",
    "ConnectorSettings": "procrastinate_conn.settings",
    "Origin": "procrastinate_conn.origins",
    "PoolOptions": "procrastinate_conn.pool",
    "PoolStats": "procrastinate_conn.connectors.runtime.stats",
    "Problem": "procrastinate_conn.problems",
    "make_connector": "procrastinate_conn.factory",
    "pool_stats": "procrastinate_conn.connectors.runtime.stats",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
