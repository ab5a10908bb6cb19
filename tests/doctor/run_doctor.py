"""Examine a server as `doctor` does, and look at what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procrastinate_conn import ConnectorSettings
from procrastinate_conn.doctor.result import Result
from procrastinate_conn.doctor.runner import examine


class Examined:
    """What was found.

    Parameters
    ----------
    address
        libpq's keywords.
    kind
        The connector.
    processes, seconds
        As `doctor` takes them.
    **settings
        More arguments of `make_connector`.
    """

    def __init__(
        self,
        address: Mapping[str, str],
        kind: str = "psycopg",
        *,
        processes: int = 1,
        seconds: float = 60.0,
        **settings: Any,
    ) -> None:
        connector_config = ConnectorSettings(
            connector=kind, connection=address, _env_file=None, **settings
        ).configuration.connector_config()
        self.doing: list[str] = []
        self.hosts, self.checks = examine(
            connector_config, processes=processes, seconds=seconds, progress=self.doing.append
        )

    def all(self) -> list[Result]:
        """Return every result."""
        return [*self.checks, *(check for host in self.hosts for check in host.checks)]

    def faults(self) -> dict[str, str]:
        """Return the name and status of all that is not in order."""
        return {check.name: check.status for check in self.all() if check.status != "pass"}

    def __getitem__(self, name: str) -> Result:
        """Return the one result of that name."""
        [found] = [check for check in self.all() if check.name == name]
        return found
