"""A place that settings are written in: a call, the environment, a file, a directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from procrastinate_conn.origins import Located, Source
from procrastinate_conn.problems import Problem

Path = tuple[str, ...]
"""A setting, step by step: ``("dsn",)``, ``("connection", "host")``."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one place states.

    Parameters
    ----------
    source
        The kind of place.
    settings
        The settings of procrastinate-conn that it states.
    database_url
        What it states as ``DATABASE_URL``.
    variables
        The variables of libpq that it states, by name; one that is empty counts as stated.
    problems
        What cannot be read in it.
    """

    source: Source
    settings: Mapping[Path, Located] = field(default_factory=dict)
    database_url: Located | None = None
    variables: Mapping[str, Located] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def section(self, name: str) -> dict[str, Located]:
        """Return what it states of a section, ``connection`` or ``pool``, by keyword or option."""
        return {
            path[1]: located for path, located in self.settings.items() if path[0] == name and len(path) == 2
        }
