"""Whether another package's class can be built and used as the connector of its kind."""

from __future__ import annotations

from collections.abc import Iterator

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
    for subject, part, base in _parts(found, info):
        if defect := _defect(part, base):
            stated = f"states asynchronous={info.asynchronous} and is {info.implementation}"
            raise UnusableKind(kind, info.package, f"{stated}, {subject} {defect}")


def _parts(found: object, info: ConnectorInfo) -> Iterator[tuple[str, object, type]]:
    """Yield the classes that a kind consists of, each with the name for it in a message and its base."""
    if info.has_server:
        yield "which", found, AsyncConnector if info.asynchronous else SyncConnector
        factory = AsyncConnectionFactory if info.asynchronous else SyncConnectionFactory
        yield "whose connection_factory", getattr(found, "connection_factory", None), factory
        if info.asynchronous:
            yield "whose sync_connector", getattr(found, "sync_connector", None), SyncConnector
    yield "which", found, BaseAsyncConnector if info.asynchronous else BaseConnector


def _defect(found: object, base: type) -> str:
    """Return why something is no complete class on a base, as a predicate; empty if it is one."""
    if not isinstance(found, type) or not issubclass(found, base):
        return f"is no subclass of {base.__name__}"
    methods = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
    return f"does not implement {methods}" if methods else ""
