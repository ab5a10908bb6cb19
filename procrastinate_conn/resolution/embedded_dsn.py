"""A whole connection string where one value belongs: refused, and kept from everything that shows values.

libpq takes all of it for a host or a name, and with it the password that stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from procrastinate_conn import libpq
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.sources.base import Source

DSN_IN_VALUE = Rule(
    "PC213",
    "connection string where one value belongs",
    "libpq takes all of it for a host, a name or a path, and its password is looked up in DNS, logged and"
    " shown like any of them.",
    "Write it as the DSN: a URI, or keyword=value pairs with blanks between them.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__HOST=postgresql://app@localhost/jobs"),
)


_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
_PAIR = re.compile(r"(?:^|[;&?,\s])\s*(\w+)\s*=")
_PAIR_BEHIND_A_SEPARATOR = re.compile(r"[;&]\s*(\w+)\s*=")

_FREE = ("application_name", "fallback_application_name", "options", "name", "password_file")
"""What may hold a URL, or words with an equals sign, of its own accord; so may the URLs of OAuth."""

_SINGLE = ("connector", "defaults", "json_dumps", "json_loads", "password_file")
"""The settings that are one word or one path."""


def split_embedded_dsns(values: Mapping[str, SourcedValue]) -> tuple[dict[str, SourcedValue], list[Problem]]:
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
    misplaced = {k: sourced for k, sourced in values.items() if _is_misplaced(k, sourced.value)}
    kept = {keyword: sourced for keyword, sourced in values.items() if keyword not in misplaced}
    return kept, [_problem(f"connection.{k}", k, sourced) for k, sourced in misplaced.items()]


def reject_embedded_dsns(source: Source) -> Source:
    """Return a place without the values that are whole connection strings, and with a problem for each."""
    of_variables = libpq.variables()
    settings = {
        path: path[-1]
        for path, sourced in source.settings.items()
        if _is_single(path) and _is_misplaced(path[-1], sourced.value)
    }
    variables = {
        name: of_variables[name]
        for name, sourced in source.variables.items()
        if name in of_variables and _is_misplaced(of_variables[name], sourced.value)
    }
    if not settings and not variables:
        return source
    problems = [
        *(_problem(".".join(path), name, source.settings[path]) for path, name in settings.items()),
        *(_problem(f"connection.{kw}", kw, source.variables[name]) for name, kw in variables.items()),
    ]
    return replace(
        source,
        settings={path: sourced for path, sourced in source.settings.items() if path not in settings},
        variables={name: sourced for name, sourced in source.variables.items() if name not in variables},
        problems=(*source.problems, *problems),
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


def _problem(setting: str, name: str, sourced: SourcedValue) -> Problem:
    if "://" in str(sourced.value):
        message, hint = (
            f"{name} is a URL, where one value belongs",
            f"write the {name} alone, or the URL as the DSN",
        )
    elif _is_login(name, str(sourced.value)):
        message = "host has a user and a password before it, where its name belongs"
        hint = "write the host alone, or all of it as the DSN: postgresql://user:password@host:5432/database"
    elif re.match(r"\w+\s*=", str(sourced.value)):
        message = f"{name} has another keyword for its value"
        hint = f"write a value behind {name}=, and in a DSN {name}='' for none"
    else:
        message = f"{name} goes on with another keyword, where one value belongs"
        hint = "separate the keywords of a DSN by blanks, and those of a URI by & behind its first ?"
    return DSN_IN_VALUE(setting, message, hint=hint, origin=sourced.origin)
