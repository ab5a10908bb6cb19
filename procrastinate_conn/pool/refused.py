"""Why one value cannot be used, on its way to becoming a problem."""

from __future__ import annotations

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Rule


class InvalidOption(Exception):
    """A value breaks a rule.

    Parameters
    ----------
    rule
        The rule.
    message
        What is wrong, in one sentence.
    hint
        What to do about it.
    """

    def __init__(self, rule: Rule, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.rule, self.message, self.hint = rule, message, hint

    def problem(self, option: str, origin: Origin) -> Problem:
        """Return the finding about `option`."""
        return self.rule(f"pool.{option}", self.message, hint=self.hint, origin=origin)
