"""All that a connector is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import ConnectorKind


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """All that a connector is built from, validated.

    Parameters
    ----------
    kind
        The connector that was asked for.
    spec
        What libpq is told.
    pool
        The pool options.
    json_dumps, json_loads
        As procrastinate's connectors take them.
    password
        Called for every new connection, gives the password of that connection; None where the
        password is in `spec`, or where libpq finds one itself.
    """

    kind: ConnectorKind
    spec: ConnectionSpec
    pool: PoolOptions
    json_dumps: Callable[[Any], str] | None = None
    json_loads: Callable[[str], Any] | None = None
    password: Callable[[], str] | None = field(default=None, repr=False)

    def credentials(self) -> dict[str, str]:
        """Return the keywords that are read anew for every connection.

        Returns
        -------
        dict
            ``{"password": ...}``, or nothing where no password source is set.
        """
        return {} if self.password is None else {"password": self.password()}
