"""Connectors of other packages that cannot be used, and settings without use for a kind without a server."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.drivers import UNUSABLE_KIND
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.registry import unusable_kinds
from procrastinate_conn.sources.base import SHADOWED_SETTING

UNUSED_PACKAGE = Rule(
    "PC406",
    "installed package whose connector cannot be used",
    "It is not used here, but whoever chooses it gets an error.",
    "Upgrade the package, or remove it.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db/jobs", given="a package acme is broken"),
    severity="warning",
)


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report unusable kinds, except for the one that is chosen, which is an error already."""
    reported = {problem.message for problem in configuration.problems if problem.code == UNUSABLE_KIND.code}
    for error in unusable_kinds():
        if str(error) not in reported:
            yield UNUSED_PACKAGE("connector", str(error), hint=error.hint)


def check_without_server(configuration: Configuration) -> Iterator[Problem]:
    """Report the settings without effect, all in one problem, in the connector's place and in nearer ones.

    A setting that is farther away than the connector's is no finding: the nearer place, such as the
    environment of the tests, sets another connector for what the farther one describes.
    """
    connector = configuration.settings.explicit.get("connector")
    if connector is None:
        return
    names: dict[str, None] = {}  # in order, each once: a section may be one JSON object
    for source in configuration.sources:
        others = (sourced for path, sourced in source.settings.items() if path != ("connector",))
        names |= dict.fromkeys(str(sourced.origin) for sourced in others)
        if source.settings.get(("connector",)) is connector:
            break
    if names:
        are = "has" if len(names) == 1 else "have"
        kind = configuration.settings.kind
        message = f"the {kind} connector connects to no server: {', '.join(names)} {are} no effect"
        hint = "remove what has no effect; for tests alone, set the connector in a nearer place"
        yield SHADOWED_SETTING("connector", message, hint=hint, origin=connector.origin)
