"""The connectors: procrastinate's classes, configured for their drivers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from procrastinate_conn.connectors.config import Blueprint
from procrastinate_conn.registry import ConnectorKind

# procrastinate imports psycopg, which fails where there is no libpq: `check` says so better.
if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

_CLASSES = {
    ConnectorKind.PSYCOPG: ("psycopg_connector", "PsycopgConnector"),
    ConnectorKind.AIOPG: ("aiopg_connector", "AiopgConnector"),
    ConnectorKind.SYNC_PSYCOPG: ("sync_psycopg_connector", "SyncPsycopgConnector"),
    ConnectorKind.PSYCOPG2: ("psycopg2_connector", "Psycopg2Connector"),
    ConnectorKind.SQLALCHEMY_PSYCOPG2: ("sqlalchemy_connector", "SQLAlchemyPsycopg2Connector"),
}
"""The module of this package and the class in it for each kind: a new kind is a module and a line here."""


def build(blueprint: Blueprint) -> BaseConnector:
    """Build the connector that a blueprint describes; nothing is connected yet.

    Parameters
    ----------
    blueprint
        Validated: what is wrong in it shows up only at run time.

    Raises
    ------
    ImportError
        The driver of the kind is not installed; no other driver is imported.
    """
    module, name = _CLASSES[blueprint.kind]
    connector: BaseConnector = getattr(import_module(f"{__name__}.{module}"), name)(blueprint)
    return connector
