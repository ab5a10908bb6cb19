"""All that a connector is built from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import ConnectorKind


class ConnectorConfig(NamedTuple):
    """All that a connector is built from, validated.

    `listens` is whether workers listen; `listening` is for the connection on which they do, if it differs.
    `password` is called for every new connection; it is None if the password is in `spec`, or if libpq finds
    one itself. `json_dumps` and `json_loads` are as procrastinate's connectors take them.
    """

    kind: ConnectorKind
    spec: ConnectionSpec
    pool: PoolOptions
    json_dumps: Callable[[Any], str | bytes] | None = None
    json_loads: Callable[[str], Any] | None = None
    password: Callable[[], str] | None = None
    listens: bool = True
    listening: ConnectorConfig | None = None

    def write_json(self, value: Any) -> str:
        """Return a value as JSON. `json_dumps` may return bytes, as orjson's does."""
        written: str | bytes = (self.json_dumps or json.dumps)(value)
        return written if isinstance(written, str) else written.decode()

    def credentials(self) -> dict[str, str]:
        """Return the keywords that are read anew for every connection: the password, if it has a source."""
        return {} if self.password is None else {"password": self.password()}
