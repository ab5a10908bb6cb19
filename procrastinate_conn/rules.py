"""A rule: what a finding of one kind means, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem, Severity


class Example(NamedTuple):
    """A small configuration that breaks a rule.

    Parameters
    ----------
    env
        What stands in the file ``.env``.
    files
        The other files that it needs, name to text; everybody may read them.
    arguments
        What the command ``check`` is given.
    given
        What has to be so besides, in words; empty where the files say it all.
    """

    env: str = ""
    files: Mapping[str, str] = MappingProxyType({})
    arguments: tuple[str, ...] = (".env",)
    given: str = ""


class Rule(NamedTuple):
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
    example
        A configuration that breaks it.
    severity
        Whether the connector can be used: not with an error. Most of them keep it from being built; those of
        what libpq takes and no server is reached with, and of the files and commands that are read for each
        connection, are found by ``check`` alone.
    fault_in
        What is at fault where the setting is written: its name or its value.
    """

    code: str
    title: str
    why: str
    fix: str
    example: Example
    severity: Severity = "error"
    fault_in: Literal["name", "value"] = "value"

    def __hash__(self) -> int:
        return hash(self.code)

    def __call__(
        self, setting: str, message: str, *, hint: str = "", origin: Origin | None = None
    ) -> Problem:
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
