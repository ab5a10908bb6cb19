"""A whole connection string where one value belongs: refused, and kept from everything that shows values.

libpq takes all of it for a host or a name, and with it the password that stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from procrastinate_conn import libpq
from procrastinate_conn.connection.spec import is_secret
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules.connection import WHOLE_STRING
from procrastinate_conn.sources.base import Place

_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
_PAIR = re.compile(r"(?:^|[;&?,\s])\s*(\w+)\s*=")
_PAIR_BEHIND_A_SEPARATOR = re.compile(r"[;&]\s*(\w+)\s*=")

_FREE = ("application_name", "fallback_application_name", "options", "name", "password_file")
"""What may hold a URL, or words with an equals sign, of its own accord; so may the URLs of OAuth."""

_SINGLE = ("connector", "defaults", "json_dumps", "json_loads", "password_file")
"""The settings that are one word or one path."""


def without_strings(values: Mapping[str, Located]) -> tuple[dict[str, Located], list[Problem]]:
    """Leave out the values that are whole connection strings.

    Parameters
    ----------
    values
        Keyword of libpq to value.

    Returns
    -------
    tuple
        The others, and a problem for each that was left out.
    """
    misplaced = {k: located for k, located in values.items() if _is_misplaced(k, located.value)}
    kept = {keyword: located for keyword, located in values.items() if keyword not in misplaced}
    return kept, [_problem(f"connection.{k}", k, located) for k, located in misplaced.items()]


def cleaned(place: Place) -> Place:
    """Return a place without the values that are whole connection strings, and with a problem for each."""
    of_variables = {row.variable: row.name for row in libpq.keywords().values() if row.variable}
    settings = {
        path: path[-1]
        for path, located in place.settings.items()
        if _is_single(path) and _is_misplaced(path[-1], located.value)
    }
    variables = {
        name: of_variables[name]
        for name, located in place.variables.items()
        if name in of_variables and _is_misplaced(of_variables[name], located.value)
    }
    if not settings and not variables:
        return place
    problems = [
        *(_problem(".".join(path), name, place.settings[path]) for path, name in settings.items()),
        *(_problem(f"connection.{kw}", kw, place.variables[name]) for name, kw in variables.items()),
    ]
    return replace(
        place,
        settings={path: located for path, located in place.settings.items() if path not in settings},
        variables={name: located for name, located in place.variables.items() if name not in variables},
        problems=(*place.problems, *problems),
    )


def _is_single(path: tuple[str, ...]) -> bool:
    """Tell whether a setting has one value, which is no connection string."""
    if path[0] == "connection":
        return len(path) == 2 and path[1] in libpq.keywords()
    return path == ("pool", "name") or (len(path) == 1 and path[0] in _SINGLE)


def _is_misplaced(name: str, value: object) -> bool:
    if not isinstance(value, str) or is_secret(name):
        return False
    if name in _FREE or name.startswith("oauth_"):
        return bool(_URL.search(value)) or _names_a_keyword(_PAIR_BEHIND_A_SEPARATOR, value)
    return "://" in value or _names_a_keyword(_PAIR, value) or _is_login(name, value)


def _is_login(name: str, value: str) -> bool:
    """Tell whether a user and a password stand before a host; an @ at its beginning is an abstract socket."""
    return name == "host" and any(re.match("[^@:]+:.*@", host) for host in value.split(","))


def _names_a_keyword(pair: re.Pattern[str], value: str) -> bool:
    return any(name.lower() in libpq.keywords() for name in pair.findall(value))


def _problem(setting: str, name: str, located: Located) -> Problem:
    if "://" in str(located.value):
        message, hint = (
            f"{name} is a URL, where one value belongs",
            f"write the {name} alone, or the URL as the DSN",
        )
    elif _is_login(name, str(located.value)):
        message = "host has a user and a password before it, where its name belongs"
        hint = "write the host alone, or all of it as the DSN: postgresql://user:password@host:5432/database"
    elif re.match(r"\w+\s*=", str(located.value)):
        message = f"{name} has another keyword for its value"
        hint = f"write a value behind {name}=, and in a DSN {name}='' for none"
    else:
        message = f"{name} goes on with another keyword, where one value belongs"
        hint = "separate the keywords of a DSN by blanks, and those of a URI by & behind its first ?"
    return WHOLE_STRING(setting, message, hint=hint, origin=located.origin)
