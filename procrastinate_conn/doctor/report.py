"""The doctor's report: the results of its checks, host by host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from procrastinate_conn.registry import ConnectorKind

Status = Literal["pass", "warning", "fail"]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check."""

    name: str  # of the check
    status: Status
    message: str  # one sentence, without any secret
    hint: str = ""  # what to do; empty if nothing has to be done
    value: Any = None  # the message for programs, of JSON's types; None if there is no more to it


@dataclass(frozen=True, slots=True)
class HostReport:
    """The results for one host: its name, its address, or the directory of its Unix socket."""

    host: str
    port: str
    checks: Sequence[Result]
    listen: bool = False  # whether it is that of the connection on which workers listen

    def __str__(self) -> str:
        """Read like ``db1:5432``."""
        name = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"{name} (listen)" if self.listen else name


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All results, by the names that they have in the JSON document."""

    connector: ConnectorKind | None  # None if that setting is invalid
    checks: Sequence[Result]  # of the settings and of the connector, which belong to no host
    hosts: Sequence[HostReport] = ()
    not_run: Sequence[str] = ()  # selected checks without a result

    def passes(self, *, strict: bool) -> bool:
        """Return whether no check failed, and if `strict` none has a warning."""
        failures = ("fail", "warning") if strict else ("fail",)
        return not any(result.status in failures for result in self.results())

    def results(self) -> Iterator[Result]:
        """Yield every result."""
        yield from self.checks
        for host in self.hosts:
            yield from host.checks


# Results of checks; `run_check()` adds the name.
passed = partial(Result, "", "pass")
warned = partial(Result, "", "warning")
failed = partial(Result, "", "fail")


def milliseconds(seconds: float) -> float:
    """Return a duration as it is reported: in milliseconds, to a tenth."""
    return round(1000 * seconds, 1)
