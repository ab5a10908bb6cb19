"""The exception with which the modules of this package reject one option."""

from __future__ import annotations

from procrastinate_conn.artifacts import hint_for
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem, Rule


class InvalidOption(Exception):
    """A pool option breaks a rule."""

    def __init__(self, rule: Rule, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.rule, self.message, self.hint = rule, message, hint

    def problem(self, option: str, sourced: SourcedValue) -> Problem:
        """Return the problem to report for the option."""
        hint = hint_for(sourced.value, self.hint, sourced.origin.source)
        return self.rule(f"pool.{option}", self.message, hint=hint, origin=sourced.origin)
