"""The connectors: procrastinate's classes, configured for their drivers."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.registry import REGISTRY

# procrastinate imports psycopg, which fails if there is no libpq: `check` reports that better.
if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector


logger = logging.getLogger("procrastinate_conn")


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
    pool, info = config.pool, REGISTRY[config.kind]
    has_default_size = not pool.null and pool.explicit.keys().isdisjoint({"min_size", "max_size"})
    if has_default_size and pool.max_size < info.size_by_hand:
        message = (
            "the pool has %d connections; a %s written by hand has up to %d by default: see pool.max_size"
        )
        logger.info(message, pool.max_size, info.class_name, info.size_by_hand)
    module, _, name = info.implementation.partition(":")
    connector: BaseConnector = getattr(import_module(module, __name__), name)(config)
    return connector
