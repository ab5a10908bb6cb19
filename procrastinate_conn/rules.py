"""A rule: what its problems mean, and how one is made."""

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
        The content of the file ``.env``.
    files
        The other files, name to content, readable for everybody.
    arguments
        The arguments of the command ``check``.
    given
        What has to be true besides, in words.
    """

    env: str = ""
    files: Mapping[str, str] = MappingProxyType({})
    arguments: tuple[str, ...] = (".env",)
    given: str = ""


class Rule(NamedTuple):
    """One rule that a configuration can break; called, it makes a problem.

    Parameters
    ----------
    code
        ``PC`` and three digits, the first of which names the section; never reused.
    title
        What breaks the rule, as a noun phrase: ``unknown pool option``.
    why
        What would happen at run time.
    fix
        What to do, in general.
    example
        A configuration that breaks it.
    severity
        An error is anything with which the connector cannot work. Most keep it from being built; those about
        servers, and about files and commands that are read for each connection, only `check` looks for.
    fault_in
        Which part of the setting is wrong: its name or its value.
    needs_kind
        Whether it depends on the kind of connector, so that it means nothing while the kind is invalid.
    """

    code: str
    title: str
    why: str
    fix: str
    example: Example
    severity: Severity = "error"
    fault_in: Literal["name", "value"] = "value"
    needs_kind: bool = False

    def __hash__(self) -> int:
        return hash(self.code)

    def __call__(
        self, setting: str, message: str, *, hint: str = "", origin: Origin | None = None
    ) -> Problem:
        """Make the problem of one setting; see `Problem` for the arguments."""
        return Problem(self.code, self.severity, setting, message, hint, origin)
