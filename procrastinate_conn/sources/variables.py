"""Settings that are written as variables: how their names become settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from procrastinate_conn.nearest import nearest
from procrastinate_conn.origins import Located, Origin, Source
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.place import Path, Place

if TYPE_CHECKING:
    from procrastinate_conn.libpq import Keyword

PREFIX = "PROCRASTINATE_CONN_"
"""What the variables of procrastinate-conn begin with, in any case."""

SECTIONS = ("connection", "pool")
"""The settings that have parts of their own, written ``PROCRASTINATE_CONN_POOL__MIN_SIZE`` or as JSON."""

OPTIONS: Mapping[str, object] = {}
"""What stands for a pool that was stated as an object of options, and is no null pool therefore."""

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
    if name in (variables := {row.variable: row.name for row in _keywords().values()}):
        return f"connection.{variables[name]}"
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
        elif meant := _misspelt(name):
            hint = f"did you mean {meant}?"
            message = f"procrastinate-conn does not read {name}"
            problems.append(rules.LIKELY_MISSPELT_VARIABLE(name, message, hint=hint, origin=origin))
    return Place(source, {**sections, **settings}, database_url, libpq, tuple(problems))


_WITH_ANOTHER_PREFIX = re.compile(rf"(PR?O\w+?)_+({'|'.join(map(str.upper, SETTINGS))})(__\w+)?")
_PREFIXES = (PREFIX.strip("_"), PREFIX.partition("_")[0])


_LIKE_DATABASE_URL = re.compile(r"([A-Z]+)_URL")


def _misspelt(name: str) -> str | None:
    """Return the variable that was meant by one with a prefix that nearly is ours, or a part of it."""
    url = _LIKE_DATABASE_URL.fullmatch(name)
    if url is not None and nearest(url[1], ["DATABASE"], cutoff=0.85):
        return "DATABASE_URL"
    found = _WITH_ANOTHER_PREFIX.fullmatch(name.upper())
    if found is None or not nearest(found[1], _PREFIXES, cutoff=0.85):
        return None
    return f"{PREFIX}{found[2]}{found[3] or ''}"


def _is_known(path: Path) -> bool:
    if path[0] in SECTIONS:
        return len(path) == 2 and bool(path[1]) and path[1] not in SETTINGS
    return path[0] in SETTINGS and len(path) == 1


def _read_section(
    section: str, value: str, origin: Origin, settings: dict[Path, Located]
) -> Iterable[Problem]:
    """Read a whole section that is written as JSON; ``pool`` may also be a word, ``null``."""
    if section == "pool" and not value.lstrip().startswith("{"):
        settings[(section,)] = Located(value, origin)
        return
    parts, where = None, ""
    try:
        parts = json.loads(value)
    except json.JSONDecodeError as error:
        if value.lstrip().startswith("{"):
            where = f": {error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
    except (ValueError, RecursionError):  # digits, or levels, beyond Python's limits
        pass
    if not isinstance(parts, dict):
        yield rules.NOT_AN_OBJECT(
            section,
            f"{origin.name} is not a JSON object{where}",
            hint=f"write an object, or one variable for each part: {PREFIX}{section.upper()}__NAME=value",
            origin=origin,
        )
        return
    if section == "pool":
        settings[(section,)] = Located(OPTIONS, origin)
    for name, part in parts.items():
        settings[(section, name)] = Located(part, origin)


def _unknown(name: str, path: Path, origin: Origin) -> Problem:
    own = next((setting for setting in ("_".join(path), path[-1]) if setting in SETTINGS), None)
    if own is not None and len(path) > 1:
        hint = f"did you mean {PREFIX}{own.upper()}?"
    elif path[0] == "password":
        hint = f"write {PREFIX}CONNECTION__PASSWORD, or a DSN with the password in it"
    elif path[0] in SECTIONS and not any(path[1:]):
        example = {"connection": "HOST", "pool": "MAX_SIZE"}[path[0]]
        hint = f"name a part of it, as in {PREFIX}{path[0].upper()}__{example}"
    elif path[0] in SETTINGS:
        whole = path[:2] if path[0] in SECTIONS else path[:1]
        hint = f"it has no parts: write {PREFIX}{'__'.join(whole).upper()}"
    elif meant := meant_by(path):
        hint = f"did you mean {PREFIX}{meant.upper()}?"
    else:
        hint = f"the settings are {', '.join(PREFIX + setting.upper() for setting in SETTINGS)}"
    return rules.UNKNOWN_SETTING(".".join(path), f"no setting is called {name}", hint=hint, origin=origin)


def meant_by(path: Path) -> str | None:
    """Return the rest of the variable that was probably meant; the prefix would make all of them alike.

    Parameters
    ----------
    path
        The setting that is not known.
    """
    if len(path) > 1:
        near = nearest(path[0], SETTINGS)
        return near and "__".join([near, *path[1:]])
    parts = _parts()
    for section in SECTIONS:
        own = {part: variable for part, variable in parts.items() if variable.startswith(f"{section}__")}
        if path[0].startswith(f"{section}_") and (near := nearest(path[0].removeprefix(f"{section}_"), own)):
            return own[near]
    known = {**parts, **_OTHER_NAMES, **{setting: setting for setting in SETTINGS}}
    near = nearest(path[0], known)
    return near and known[near]


_OTHER_NAMES = {
    "connection_string": "dsn",
    "conninfo": "dsn",
    "database": "connection__dbname",
    "database_url": "dsn",
    "db": "connection__dbname",
    "hostname": "connection__host",
    "kind": "connector",
    "server": "connection__host",
    "uri": "dsn",
    "url": "dsn",
    "username": "connection__user",
}
"""What a setting may be looked for as."""


def _parts() -> dict[str, str]:
    """Return libpq's keywords and the pool options, each with the rest of its variable."""
    if not (keywords := {keyword: f"connection__{keyword}" for keyword in _keywords()}):
        return {}
    from procrastinate_conn.kinds import ConnectorKind  # it is not needed before something is wrong
    from procrastinate_conn.pool.names import vocabulary

    return {option: f"pool__{option}" for option in vocabulary(ConnectorKind.PSYCOPG, null=False)} | keywords


def _keywords() -> Mapping[str, Keyword]:
    """Return libpq's keywords; none where there is no libpq, which is a finding of its own."""
    from procrastinate_conn import libpq

    try:
        return libpq.keywords()
    except ImportError:
        return {}
