"""The exception with which the modules of this package reject one option."""

from __future__ import annotations

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem, Rule


class InvalidOption(Exception):
    """A pool option breaks a rule."""

    def __init__(self, rule: Rule, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.rule, self.message, self.hint = rule, message, hint

    def problem(self, option: str, origin: Origin) -> Problem:
        """Return the problem to report for the option."""
        return self.rule(f"pool.{option}", self.message, hint=self.hint, origin=origin)
