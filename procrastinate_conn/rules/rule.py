"""A rule: what a finding of one kind means, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem, Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that a configuration can break.

    Parameters
    ----------
    code
        ``PC`` and three digits, the first of which names the room; never reused.
    title
        What breaks the rule, as a noun phrase: ``unknown pool option``.
    why
        What would happen at run time.
    fix
        What to do, in general.
    severity
        Whether the connector may still be built.
    """

    code: str
    title: str
    why: str
    fix: str
    severity: Severity = "error"

    def __call__(self, setting: str, message: str, *, hint: str = "", origin: Origin | None = None) -> Problem:
        """Make the finding for one setting.

        Parameters
        ----------
        setting
            The dotted path of the setting.
        message
            What is wrong, in one sentence, without any secret.
        hint
            What to do about it.
        origin
            Where the value is written.
        """
        return Problem(self.code, self.severity, setting, message, hint, origin)
