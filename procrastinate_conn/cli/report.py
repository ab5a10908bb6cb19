"""What was found in all configurations, selected and counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from procrastinate_conn.checks.runner import CheckResult
from procrastinate_conn.problems import Problem


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and the configuration that it was found in.

    Parameters
    ----------
    problem
        The problem.
    configuration
        The first configuration that has it: a variable of the environment is a part of all of them.
    """

    problem: Problem
    configuration: str | None

    @property
    def told(self) -> str:
        """What is wrong, where if that is no file, and what to do: for formats that show files alone."""
        origin, message = self.problem.origin, self.problem.message
        is_told = origin is None or origin.file or not origin.name or origin.name in message
        place = "" if origin is None or is_told else f"{origin.name}: "
        hint = f" ({self.problem.hint})" if self.problem.hint else ""
        return f"{place}{message}{hint}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Parameters
    ----------
    configurations
        What was checked, in the order of the command line.
    strict
        Whether a warning is a failure.
    """

    configurations: Sequence[CheckResult]
    strict: bool = False

    @property
    def ok(self) -> bool:
        """Whether all configurations are in order."""
        return all(self.is_in_order(checked) for checked in self.configurations)

    def is_in_order(self, checked: CheckResult) -> bool:
        """Tell whether one configuration is in order."""
        return not any(self.strict or problem.severity == "error" for problem in checked.problems)

    def findings(self) -> list[Finding]:
        """Return every finding once, even where several configurations share it."""
        found: dict[tuple[Problem, str | None], Finding] = {}
        for checked in self.configurations:
            for problem in checked.problems:
                # Without an origin, the configuration is all that tells where it is.
                key = (problem, None if problem.origin else checked.file)
                found.setdefault(key, Finding(problem, checked.file))
        return list(found.values())


def selected(checked: CheckResult, select: Iterable[str], ignore: Iterable[str]) -> CheckResult:
    """Leave out the problems that were not asked for.

    Parameters
    ----------
    checked
        What was found.
    select
        Beginnings of codes; none means all of them.
    ignore
        Beginnings of codes to leave out.
    """
    wanted, unwanted = tuple(select) or ("",), tuple(ignore)
    kept = (p for p in checked.problems if p.code.startswith(wanted) and not p.code.startswith(unwanted))
    return replace(checked, problems=tuple(kept))
