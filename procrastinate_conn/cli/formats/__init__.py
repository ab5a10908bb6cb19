"""The findings of `check`, and their formats: text, and those for programs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from procrastinate_conn.checks.runner import CheckResult, CheckTarget
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.problems import Problem


class FindingsFormat(StrEnum):
    """The formats."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"
    SARIF = "sarif"


class Finding(NamedTuple):
    """A problem, and the first target that has it; a problem in the environment is in all of them."""

    problem: Problem
    target: CheckTarget

    @property
    def place(self) -> str:
        """What was checked."""
        return str(self.target.file or self.target.settings or "environment")

    @property
    def file(self) -> str:
        """The file of the problem, or that which was checked, for formats that need one."""
        from procrastinate_conn.sources import DEFAULT_ENV_FILE  # imported late: `--help` needs no sources

        origin = self.problem.origin
        return (origin and origin.file) or str(self.target.file or DEFAULT_ENV_FILE)

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
                # Without an origin, only the target tells where the problem is.
                finding = Finding(problem, result.target)
                found.setdefault((problem, None if problem.origin else finding.place), finding)
        return list(found.values())

    def render(self, output: FindingsFormat, terminal: Terminal) -> str:
        """Render the report; only what the format needs is imported."""
        if output is FindingsFormat.TEXT:
            from procrastinate_conn.cli.formats import text

            return text.render(self, terminal)
        from procrastinate_conn.cli.formats import machine

        return machine.RENDERERS[output](self)
