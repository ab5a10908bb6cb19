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
    from procrastinate_conn.connector_info import POOL_OPTIONS, ConnectorInfo, OptionSupport
    from procrastinate_conn.connectors.runtime.stats import PoolStats, pool_stats
    from procrastinate_conn.factory import make_connector
    from procrastinate_conn.origins import Origin
    from procrastinate_conn.pool import PoolOptions
    from procrastinate_conn.problems import ConfigurationError, Problem
    from procrastinate_conn.registry import ConnectorKind
    from procrastinate_conn.settings import ConnectorSettings

    __version__: str

__all__ = [
    "POOL_OPTIONS",
    "ConfigurationError",
    "ConnectionSpec",
    "ConnectorInfo",
    "ConnectorKind",
    "ConnectorSettings",
    "OptionSupport",
    "Origin",
    "PoolOptions",
    "PoolStats",
    "Problem",
    "__version__",
    "make_connector",
    "pool_stats",
]

_MODULES = {
    "ConfigurationError": "problems",
    "ConnectionSpec": "connection.spec",
    "ConnectorInfo": "connector_info",
    "ConnectorKind": "registry",
    "ConnectorSettings": "settings",
    "OptionSupport": "connector_info",
    "Origin": "origins",
    "POOL_OPTIONS": "connector_info",
    "PoolOptions": "pool",
    "PoolStats": "connectors.runtime.stats",
    "Problem": "problems",
    "make_connector": "factory",
    "pool_stats": "connectors.runtime.stats",
}
"""The module of each name, imported at the first use: the package alone costs nothing and needs no driver."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("procrastinate-conn")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
