"""A diagnosis: every result, host by host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from procrastinate_conn.doctor.result import Result
from procrastinate_conn.registry import ConnectorKind


@dataclass(frozen=True, slots=True)
class HostDiagnosis:
    """What was found on one host.

    Parameters
    ----------
    host
        Its name, its address, or the directory of its Unix socket.
    port
        Its port.
    checks
        The results, in the order of the examinations.
    """

    host: str
    port: str
    checks: Sequence[Result]

    def __str__(self) -> str:
        """Read like ``db1:5432``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Parameters
    ----------
    connector
        The kind that was examined; None where that is wrong itself.
    checks
        What does not belong to one host.
    hosts
        What was found on each of them.
    strict
        Whether a warning is a failure.
    """

    connector: ConnectorKind | None
    checks: Sequence[Result]
    hosts: Sequence[HostDiagnosis] = ()
    strict: bool = False

    @property
    def ok(self) -> bool:
        """Whether all is in order."""
        return not any(
            check.status == "fail" or (self.strict and check.status == "warning") for check in self.results()
        )

    def results(self) -> Iterator[Result]:
        """Give every result."""
        yield from self.checks
        for host in self.hosts:
            yield from host.checks
