"""Connectors of other packages that are installed, and cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.drivers import UNUSABLE_KIND
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.registry import unusable_kinds

UNUSED_PACKAGE = Rule(
    "PC406",
    "installed package whose connector cannot be used",
    "It is not used here, but whoever chooses it gets an error.",
    "Upgrade the package, or remove it.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db/jobs", given="a package acme is broken"),
    severity="warning",
)


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report them, except for the one that is chosen, which is an error already."""
    reported = {problem.message for problem in configuration.problems if problem.code == UNUSABLE_KIND.code}
    for error in unusable_kinds():
        if str(error) not in reported:
            yield UNUSED_PACKAGE("connector", str(error), hint=error.hint)
