"""Run `doctor` against a server, and look at its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procrastinate_conn import ConnectorSettings
from procrastinate_conn.doctor.report import Result
from procrastinate_conn.doctor.runner import run


class DoctorRun:
    """The results of all checks.

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
        self.hosts, self.checks = run(
            connector_config, processes=processes, seconds=seconds, progress=lambda _check: None
        )

    def results(self) -> list[Result]:
        """Return every result."""
        return [*self.checks, *(check for host in self.hosts for check in host.checks)]

    def problems(self) -> dict[str, str]:
        """Return the name and status of each check that has not passed."""
        return {check.name: check.status for check in self.results() if check.status != "pass"}

    def __getitem__(self, name: str) -> Result:
        """Return the only result of a check."""
        [result] = [check for check in self.results() if check.name == name]
        return result
