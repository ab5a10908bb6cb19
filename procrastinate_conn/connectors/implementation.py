"""Whether another package's class can be built and used as the connector of its kind."""

from __future__ import annotations

from procrastinate.connector import BaseAsyncConnector, BaseConnector

from procrastinate_conn.connector_info import ConnectorInfo
from procrastinate_conn.connectors.base import AsyncConnector, SyncConnector
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    SyncConnectionFactory,
)
from procrastinate_conn.entry_points import UnusableKind
from procrastinate_conn.imports import ObjectNotFound, import_object


def require_usable(kind: str, info: ConnectorInfo) -> None:
    """Import the class of a kind, or raise `UnusableKind`; the drivers are installed."""
    try:
        found = import_object(info.implementation)
    except ObjectNotFound as error:
        raise UnusableKind.after(error, kind, info.package) from None
    if defect := _defect_of_connector(found, info):
        states = f"states asynchronous={info.asynchronous}"
        raise UnusableKind(kind, info.package, f"{states} and is {info.implementation}, {defect}")


def _defect_of_connector(found: object, info: ConnectorInfo) -> str:
    """Return a relative clause on the first defect; empty if there is none."""
    bases: list[type] = [BaseAsyncConnector if info.asynchronous else BaseConnector]
    if info.has_server:
        bases.insert(0, AsyncConnector if info.asynchronous else SyncConnector)
    if defect := _defect(found, *bases):
        return f"which {defect}"
    if not info.has_server:
        return ""
    parts: dict[str, type] = {"connection_factory": SyncConnectionFactory}
    if info.asynchronous:
        parts = {"connection_factory": AsyncConnectionFactory, "sync_connector": SyncConnector}
    defects = ((name, _defect(getattr(found, name, None), base)) for name, base in parts.items())
    return next((f"whose {name} {defect}" for name, defect in defects if defect), "")


def _defect(found: object, *bases: type) -> str:
    """Return why something is no class with those bases, as a predicate; empty if it is one."""
    for base in bases:
        if not isinstance(found, type) or not issubclass(found, base):
            return f"is no subclass of {base.__name__}"
    methods = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
    return f"does not implement {methods}" if methods else ""
