"""The connectors: procrastinate's classes, configured for their drivers."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.registry import REGISTRY

if TYPE_CHECKING:  # procrastinate imports psycopg, which fails without a libpq: `check` reports that better
    from procrastinate.connector import BaseConnector

logger = logging.getLogger("procrastinate_conn")


def build(config: ConnectorConfig) -> BaseConnector:
    """Build the connector that a valid config describes; nothing is connected yet.

    `ImportError` is raised if the driver of the kind is not installed; no other driver is imported.
    """
    pool, info = config.pool, REGISTRY[config.kind]
    has_default_size = not pool.null and pool.explicit.keys().isdisjoint({"min_size", "max_size"})
    if has_default_size and pool.max_size < info.size_by_hand:
        by_hand = f"a {info.class_name} written by hand has up to {info.size_by_hand}"
        logger.info("the pool has %d connections; %s by default: see pool.max_size", pool.max_size, by_hand)
    module, _, name = info.implementation.partition(":")
    connector: BaseConnector = getattr(import_module(module, __name__), name)(config)
    return connector
