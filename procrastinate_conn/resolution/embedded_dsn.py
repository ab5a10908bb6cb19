"""A DSN in place of one value: rejected, because it would be shown and logged with its password."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from procrastinate_conn import libpq
from procrastinate_conn.origins import CALL, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.setting_names import SettingPath
from procrastinate_conn.sources.base import Source

DSN_IN_VALUE = Rule(
    "PC213",
    "connection string in place of one value",
    "libpq takes all of it for a host, a name or a path, and its password is looked up in DNS, logged and"
    " shown like any of them.",
    "Write it as the DSN: a URI, or keyword=value pairs with blanks between them.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__HOST=postgresql://app@localhost/jobs"),
)

_Key = TypeVar("_Key")

_URL = r"(?i)postgres(?:ql)?(?:\+\w+)?://"
_PAIR = r"(?:^|[;&?,\s])\s*(\w+)\s*="
_PAIR_AFTER_SEPARATOR = r"[;&]\s*(\w+)\s*="

_FREE_TEXT = ("application_name", "fallback_application_name", "options", "name", "password_file")
"""May contain a URL, or words with an equals sign; so may the URLs of OAuth."""

_SINGLE_VALUES = ("connector", "defaults", "json_dumps", "json_loads", "password_file")
"""The settings that are one word or one path."""


def reject_embedded_dsns(source: Source) -> Source:
    """Return a source without the values that are DSNs, and with a problem for each."""
    keywords = libpq.variables()

    def of_path(path: SettingPath) -> str:
        return ".".join(path) if _has_single_value(path) else ""

    def of_variable(name: str) -> str:
        return f"connection.{keywords[name]}" if name in keywords else ""

    problems = list(source.problems)
    return replace(
        source,
        settings=without_dsns(source.settings, of_path, problems),
        variables=without_dsns(source.variables, of_variable, problems),
        problems=problems,
    )


def without_dsns(
    values: Mapping[_Key, SourcedValue], setting_of: Callable[[_Key], str], problems: list[Problem]
) -> dict[_Key, SourcedValue]:
    """Return the values that are no DSNs, and report the others.

    `setting_of` returns the dotted path of the setting that has a value, if it has one value alone.
    """
    valid: dict[_Key, SourcedValue] = {}
    for key, sourced in values.items():
        setting = setting_of(key)
        if setting and _is_dsn(setting.rpartition(".")[2], sourced.value):
            problems.append(_problem(setting, sourced))
        else:
            valid[key] = sourced
    return valid


def _has_single_value(path: SettingPath) -> bool:
    """Tell whether a setting has one value, which is no connection string."""
    if path[0] == "connection":
        return len(path) == 2 and path[1] in libpq.keywords()
    return path == ("pool", "name") or (len(path) == 1 and path[0] in _SINGLE_VALUES)


def _is_dsn(name: str, value: object) -> bool:
    if not isinstance(value, str) or libpq.is_secret(name):
        return False
    if name in _FREE_TEXT or name.startswith("oauth_"):
        return bool(re.search(_URL, value)) or _names_a_keyword(_PAIR_AFTER_SEPARATOR, value)
    return "://" in value or _names_a_keyword(_PAIR, value) or _is_login(name, value)


def _is_login(name: str, value: str) -> bool:
    """Tell whether a host has a user and a password; an @ at its beginning is an abstract socket."""
    return name == "host" and any(re.match("[^@:]+:.*@", host) for host in value.split(","))


def _names_a_keyword(pair: str, value: str) -> bool:
    return any(name.lower() in libpq.keywords() for name in re.findall(pair, value))


def _problem(setting: str, sourced: SourcedValue) -> Problem:
    name = setting.rpartition(".")[2]
    if "://" in str(sourced.value):
        message = f"{name} is a URL, not a single value"
        hint = f"write the {name} alone, or the URL as the DSN"
    elif _is_login(name, str(sourced.value)):
        message = "host has a user and a password before its name"
        hint = "write the host alone, or all of it as the DSN: postgresql://user:password@host:5432/database"
    elif name == "connector":
        message = "connector is a DSN, not the name of a kind"
        hint = "write dsn= before it" if sourced.origin.kind is CALL else "write it as the DSN"
    elif re.match(r"\w+\s*=", str(sourced.value)):
        message = f"the value of {name} is another keyword"
        hint = f"write a value after {name}=, and in a DSN {name}='' for none"
    else:
        message = f"the value of {name} continues with another keyword"
        hint = "separate the keywords of a DSN by blanks, and those of a URI by & after its first ?"
    return DSN_IN_VALUE(setting, message, hint=hint, origin=sourced.origin)
