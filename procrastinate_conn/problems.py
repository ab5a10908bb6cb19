"""What can be wrong with a configuration: rules, their problems, and the error that reports all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from procrastinate_conn.artifacts import mark_deceptive
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


class Example(NamedTuple):
    """A small configuration that breaks a rule."""

    env: str = ""  # the content of the file ``.env``
    files: Mapping[str, str] = MappingProxyType({})  # the others, name to content, readable for everybody
    arguments: tuple[str, ...] = (".env",)  # of the command ``check``
    given: str = ""  # what has to be true besides, in words


class Rule(NamedTuple):
    """One rule that a configuration can break; called, it makes a problem.

    An error is anything with which the connector cannot work. Most keep it from being built; those about
    servers, and about files and commands that are read for each connection, only `check` looks for.
    """

    code: str  # ``PC`` and three digits, the first of which names the section; never reused
    title: str  # what breaks the rule, as a noun phrase: ``unknown pool option``
    why: str  # what would happen at run time
    fix: str  # what to do, in general
    example: Example
    severity: Severity = "error"
    fault_in: Literal["name", "value"] = "value"  # the part of the setting that is wrong
    needs_kind: bool = False  # whether it means nothing while the kind of connector is invalid

    def __hash__(self) -> int:
        return hash(self.code)

    def __call__(
        self, setting: str, message: str, *, hint: str = "", origin: Origin | None = None
    ) -> Problem:
        """Make the problem of one setting; see `Problem` for the arguments."""
        setting, message, hint = map(mark_deceptive, (setting, message, hint))
        return Problem(self.code, self.severity, setting, message, hint, origin)


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
