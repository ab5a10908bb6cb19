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
    if _is_smaller_than_by_hand(config):
        message = (
            "the pool has %d connections; a %s written by hand has up to %d by default: see pool.max_size"
        )
        by_hand = REGISTRY[config.kind]
        logger.info(message, config.pool.max_size, by_hand.class_name, by_hand.size_by_hand)
    module, _, name = REGISTRY[config.kind].implementation.partition(":")
    connector: BaseConnector = getattr(import_module(module, __name__), name)(config)
    return connector


def _is_smaller_than_by_hand(config: ConnectorConfig) -> bool:
    is_default = not config.pool.null and config.pool.explicit.keys().isdisjoint({"min_size", "max_size"})
    return is_default and config.pool.max_size < REGISTRY[config.kind].size_by_hand
