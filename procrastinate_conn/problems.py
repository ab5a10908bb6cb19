"""What can be wrong with a configuration, and how all of it is reported at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from procrastinate_conn.origins import Origin

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Parameters
    ----------
    code
        The code of the rule, such as ``PC301``; stable across versions.
    severity
        An error keeps the connector from being built, or, if only ``check`` looks for it, from working; a
        warning does neither.
    setting
        The dotted path of the setting: ``dsn``, ``connection.port``, ``pool.min_size``.
    message
        What is wrong, in one sentence, without any secret.
    hint
        What to do about it; empty if the message is enough.
    origin
        Where the value is written; None if there is no value.
    """

    code: str
    severity: Severity
    setting: str
    message: str
    hint: str = ""
    origin: Origin | None = None

    def __str__(self) -> str:
        """Read like ``.env:7 PROCRASTINATE_CONN_POOL__MIN_SZIE: PC301 ... (did you mean min_size?)``."""
        place = f"{self.origin}: " if self.origin else ""
        severity = "warning: " if self.severity == "warning" else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.code} {severity}{self.message}{hint}"


def counted(count: int, noun: str) -> str:
    """Return like ``1 problem``, ``2 problems``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class ConfigurationError(ValueError):
    """The configuration cannot be used.

    Parameters
    ----------
    problems
        Every problem found, warnings too.

    Attributes
    ----------
    problems : tuple of Problem
        The same, the errors before the warnings.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.severity == "warning"))
        super().__init__(self.problems)

    def __str__(self) -> str:
        """List the problems, a line each."""
        heading = counted(len(self.problems), "problem")
        return "\n".join([f"{heading} in the connection settings:", *(f"  {p}" for p in self.problems)])
