"""Settings that are written as variables: how their names become settings."""

from __future__ import annotations

import json
from collections.abc import Iterable

from procrastinate_conn.nearest import nearest
from procrastinate_conn.origins import Located, Origin, Source
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.place import Path, Place

PREFIX = "PROCRASTINATE_CONN_"
"""What the variables of procrastinate-conn begin with, in any case."""

SECTIONS = ("connection", "pool")
"""The settings that have parts of their own, written ``PROCRASTINATE_CONN_POOL__MIN_SIZE`` or as JSON."""

SETTINGS = (
    "connector",
    "dsn",
    *SECTIONS,
    "json_dumps",
    "json_loads",
    "password_file",
    "password_command",
    "defaults",
)
"""The settings that can be written as variables."""


def is_setting(name: str) -> bool:
    """Tell whether a variable is one of procrastinate-conn's own, or ``DATABASE_URL``."""
    return name.upper().startswith(PREFIX) or name.upper() == "DATABASE_URL"


def setting_of(name: str) -> str:
    """Return the dotted path of the setting that a variable states."""
    return name.upper().removeprefix(PREFIX).lower().replace("__", ".")


def read_variables(source: Source, variables: Iterable[tuple[str, str, Origin]]) -> Place:
    """Sort variables into what they state.

    Parameters
    ----------
    source
        The kind of place that they stand in.
    variables
        Name, value and origin of each; a later one replaces an earlier one of the same name.
    """
    settings: dict[Path, Located] = {}
    sections: dict[Path, Located] = {}
    libpq: dict[str, Located] = {}
    database_url: Located | None = None
    problems: list[Problem] = []
    for name, value, origin in variables:
        if name.upper().startswith(PREFIX):
            path = tuple(name[len(PREFIX) :].lower().split("__"))
            if path[0] in SECTIONS and len(path) == 1:
                problems += _read_section(path[0], value, origin, sections)
            elif _is_known(path):
                settings[path] = Located(value, origin)
            else:
                problems.append(_unknown(name, path, origin))
        elif name.upper() == "DATABASE_URL":
            database_url = Located(value, origin)
        elif name.startswith("PG"):
            libpq[name] = Located(value, origin)
    return Place(source, {**sections, **settings}, database_url, libpq, tuple(problems))


def _is_known(path: Path) -> bool:
    if path[0] in SECTIONS:
        return len(path) == 2 and bool(path[1])
    return path[0] in SETTINGS and len(path) == 1


def _read_section(
    section: str, value: str, origin: Origin, settings: dict[Path, Located]
) -> Iterable[Problem]:
    """Read a whole section that is written as JSON; ``pool`` may also be a word, ``null``."""
    if section == "pool" and not value.lstrip().startswith("{"):
        settings[(section,)] = Located(value, origin)
        return
    try:
        parts = json.loads(value)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, dict):
        yield rules.NOT_AN_OBJECT(
            section,
            f"{origin.name} is not a JSON object",
            hint=f"write an object, or one variable for each part: {PREFIX}{section.upper()}__NAME=value",
            origin=origin,
        )
        return
    for name, part in parts.items():
        settings[(section, name)] = Located(part, origin)


def _unknown(name: str, path: Path, origin: Origin) -> Problem:
    known = [PREFIX + setting.upper() for setting in SETTINGS]
    near = nearest(PREFIX + path[0].upper(), known, cutoff=0.75)
    if path[0] == "password":
        hint = f"write {PREFIX}CONNECTION__PASSWORD, or a DSN with the password in it"
    elif near:
        hint = f"did you mean {'__'.join([near, *(part.upper() for part in path[1:])])}?"
    else:
        hint = f"the settings are {', '.join(known)}"
    return rules.UNKNOWN_SETTING(".".join(path), f"no setting is called {name}", hint=hint, origin=origin)
