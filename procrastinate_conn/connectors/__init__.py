"""The connectors: procrastinate's classes, configured for their drivers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.registry import REGISTRY

# procrastinate imports psycopg, which fails if there is no libpq: `check` reports that better.
if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector


def build(config: ConnectorConfig) -> BaseConnector:
    """Build the connector that a config describes; nothing is connected yet.

    Parameters
    ----------
    config
        Validated: what is wrong in it shows up only at run time.

    Raises
    ------
    ImportError
        The driver of the kind is not installed; no other driver is imported.
    """
    module, _, name = REGISTRY[config.kind].implementation.partition(":")
    connector: BaseConnector = getattr(import_module(f"{__name__}.{module}"), name)(config)
    return connector
