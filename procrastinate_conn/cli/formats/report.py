"""The findings in all checked configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from procrastinate_conn.checks.runner import CheckResult
from procrastinate_conn.problems import Problem


class Finding(NamedTuple):
    """A problem, and the first result that has it; a problem in the environment is in all of them."""

    problem: Problem
    result: CheckResult

    @property
    def place(self) -> str:
        """What was checked."""
        return self.result.file or self.result.target.settings or "environment"

    @property
    def file(self) -> str:
        """The file of the problem, or that which was checked, for formats that need one."""
        from procrastinate_conn.sources import DEFAULT_ENV_FILE  # imported late: `--help` needs no sources

        origin = self.problem.origin
        return (origin and origin.file) or self.result.file or DEFAULT_ENV_FILE

    @property
    def sentence(self) -> str:
        """The message with its hint, for formats that show files only.

        It begins with the variable or argument if there is no file, unless the message names it.
        """
        message, hint, origin = self.problem.message, self.problem.hint, self.problem.origin
        if origin and origin.name and not origin.file and origin.name not in message:
            message = f"{origin.name}: {message}"
        return f"{message} ({hint})" if hint else message


class Report(NamedTuple):
    """The results in the order of the command line, and whether warnings are failures."""

    results: Sequence[CheckResult]
    strict: bool = False

    @property
    def ok(self) -> bool:
        """Whether no configuration fails."""
        return all(map(self.passes, self.results))

    def passes(self, result: CheckResult) -> bool:
        """Return whether one configuration has no failure."""
        return not any(self.strict or problem.severity == "error" for problem in result.problems)

    def findings(self) -> list[Finding]:
        """Return every finding once, even if several configurations share it."""
        found: dict[tuple[Problem, str | None], Finding] = {}
        for result in self.results:
            for problem in result.problems:
                # Without an origin, only the configuration tells where the problem is.
                finding = Finding(problem, result)
                found.setdefault((problem, None if problem.origin else finding.place), finding)
        return list(found.values())
