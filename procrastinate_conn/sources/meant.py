"""What was meant by a variable, or an argument, that nobody reads."""

from __future__ import annotations

import re

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.base import Path
from procrastinate_conn.sources.setting_names import PREFIX, SECTIONS, SETTINGS, keywords_if_any
from procrastinate_conn.suggestions import nearest

_WITH_ANOTHER_PREFIX = re.compile(rf"(PR?O\w+?)_+({'|'.join(map(str.upper, SETTINGS))})(__\w+)?")
_PREFIXES = (PREFIX.strip("_"), PREFIX.partition("_")[0])
_LIKE_DATABASE_URL = re.compile(r"([A-Z]+)_URL")

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


def unknown(name: str, path: Path, origin: Origin) -> Problem:
    """Report a variable with our prefix that is no setting, and what to write.

    Parameters
    ----------
    name
        The variable.
    path
        What it would state.
    origin
        Where it is written.
    """
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


def misspelt(name: str) -> str | None:
    """Return the variable that was meant by one with a prefix that nearly is ours, or a part of it.

    Parameters
    ----------
    name
        A variable that is neither ours nor libpq's.
    """
    url = _LIKE_DATABASE_URL.fullmatch(name)
    if url is not None and nearest(url[1], ["DATABASE"], cutoff=0.85):
        return "DATABASE_URL"
    found = _WITH_ANOTHER_PREFIX.fullmatch(name.upper())
    if found is None or not nearest(found[1], _PREFIXES, cutoff=0.85):
        return None
    return f"{PREFIX}{found[2]}{found[3] or ''}"


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


def _parts() -> dict[str, str]:
    """Return libpq's keywords and the pool options, each with the rest of its variable."""
    if not (keywords := {keyword: f"connection__{keyword}" for keyword in keywords_if_any()}):
        return {}
    from procrastinate_conn.pool.option_names import vocabulary
    from procrastinate_conn.registry import ConnectorKind  # it is not needed before something is wrong

    return {option: f"pool__{option}" for option in vocabulary(ConnectorKind.PSYCOPG, null=False)} | keywords
