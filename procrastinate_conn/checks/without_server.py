"""Settings that a kind without a server has no use for.

A setting that is farther away than the connector's is no finding: the nearer place, such as the environment
of the tests, sets another connector for what the farther one describes.
"""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import REGISTRY
from procrastinate_conn.sources.base import SHADOWED_SETTING


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report the settings without effect, all in one problem, in the connector's place and in nearer ones."""
    kind, connector = configuration.settings.kind, configuration.settings.explicit.get("connector")
    if REGISTRY[kind].has_server or connector is None:
        return
    names: dict[str, None] = {}  # in order, each once: a section may be one JSON object
    for source in configuration.sources:
        others = (sourced for path, sourced in source.settings.items() if path != ("connector",))
        names |= dict.fromkeys(str(sourced.origin) for sourced in others)
        if source.settings.get(("connector",)) is connector:
            break
    if names:
        are = "has" if len(names) == 1 else "have"
        message = f"the {kind} connector connects to no server: {', '.join(names)} {are} no effect"
        hint = "remove what has no effect; for tests alone, set the connector in a nearer place"
        yield SHADOWED_SETTING("connector", message, hint=hint, origin=connector.origin)
