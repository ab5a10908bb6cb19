"""The precedence and the types of the settings that have one value."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from procrastinate_conn import drivers, suggestions
from procrastinate_conn.artifacts import hint_for
from procrastinate_conn.entry_points import UnusableKind
from procrastinate_conn.imports import ObjectNotFound, import_object, is_async
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import describe_value
from procrastinate_conn.registry import DEFAULT_KIND, ConnectorKind
from procrastinate_conn.sources.base import INVALID_VALUE, Source
from procrastinate_conn.sources.defaults import Defaults
from procrastinate_conn.sources.dsn import ParsedDsn

if TYPE_CHECKING:
    from procrastinate_conn.passwords import PasswordFunction

UNUSABLE_FUNCTION = Rule(
    "PC108",
    "callable that cannot be imported or called",
    "The function would be missing when the first job is deferred.",
    "Name it package.module:function, and make sure that the module is installed here.",
    example=Example("PROCRASTINATE_CONN_JSON_DUMPS=json:dump_it"),
)

COMPETING_PASSWORDS = Rule(
    "PC109",
    "more than one source of the password",
    "Only one of them can be the password that is sent.",
    "Keep one of password, password_file and password_command in one place.",
    example=Example(
        "PROCRASTINATE_CONN_PASSWORD_FILE=db-password\nPROCRASTINATE_CONN_PASSWORD_COMMAND=cat db-password",
        files={"db-password": "..."},
    ),
    fault_in="name",
)

_EXPECTED = {
    "password": "text or a plain function",
    "password_file": "the name of a file",
    "password_command": "a command line",
}

PASSWORD_SOURCES = tuple(_EXPECTED)
"""The settings of a password that may change; one source may have one of them."""

_DEFAULTS: tuple[Defaults, ...] = get_args(Defaults)


class ResolvedSettings(NamedTuple):
    """The settings that have one value, converted to their types.

    `password` returns the password for a new connection, if it may change; `password_setting` is the setting
    that it comes from. `explicit` has the settings that are set, by name, as they are written.
    """

    kind: ConnectorKind
    defaults: Defaults
    json_dumps: Callable[[Any], str | bytes] | None
    json_loads: Callable[[str], Any] | None
    password: PasswordFunction | None
    password_setting: str
    explicit: dict[str, SourcedValue]
    problems: tuple[Problem, ...]


def resolve_settings(sources: Sequence[Source], dsn: ParsedDsn | None) -> ResolvedSettings:
    """Take each setting from the first source that sets it; the effective DSN may have the password."""
    explicit = {
        path[0]: sourced
        for source in reversed(sources)
        for path, sourced in source.settings.items()
        if len(path) == 1
    }
    problems = [problem for source in sources for problem in source.problems]
    password_setting = _password_setting(sources, dsn, problems)
    password = _password(password_setting, explicit.get(password_setting), problems)
    return ResolvedSettings(
        kind=_kind(explicit.get("connector"), problems),
        defaults=_defaults(explicit.get("defaults"), problems),
        json_dumps=_function("json_dumps", explicit.get("json_dumps"), problems),
        json_loads=_function("json_loads", explicit.get("json_loads"), problems),
        password=password,
        password_setting=password_setting if password else "",
        explicit=explicit,
        problems=tuple(problems),
    )


def _kind(sourced: SourcedValue | None, problems: list[Problem]) -> ConnectorKind:
    if sourced is None:
        return DEFAULT_KIND
    try:
        return ConnectorKind(str(sourced.value))
    except UnusableKind as error:
        problems.append(drivers.unusable_kind(error, sourced))
    except ValueError:
        message = f"there is no connector {describe_value(sourced.value)}"
        hint = suggestions.connector(str(sourced.value))
        problems.append(_invalid_choice("connector", message, hint, sourced))
    return DEFAULT_KIND


def _defaults(sourced: SourcedValue | None, problems: list[Problem]) -> Defaults:
    if sourced is None:
        return "resilient"
    for defaults in _DEFAULTS:
        if str(sourced.value).strip().lower() == defaults:
            return defaults
    message = f"defaults is {describe_value(sourced.value)}"
    problems.append(_invalid_choice("defaults", message, f"write one of {', '.join(_DEFAULTS)}", sourced))
    return "resilient"


def _invalid_choice(setting: str, message: str, hint: str, sourced: SourcedValue) -> Problem:
    hint = hint_for(sourced.value, hint, sourced.origin.source)
    return INVALID_VALUE(setting, message, hint=hint, origin=sourced.origin)


def _function(name: str, sourced: SourcedValue | None, problems: list[Problem]) -> Callable[..., Any] | None:
    if sourced is None:
        return None
    try:
        found = import_object(sourced.value.strip()) if isinstance(sourced.value, str) else sourced.value
    except ObjectNotFound as error:
        message = f"{name} {error.message}"
        hint = hint_for(sourced.value, error.hint, sourced.origin.source)
    else:
        if callable(found) and not is_async(found):
            return found
        message = f"{name} is a {type(found).__name__}, not a function"
        hint = "give a function, or package.module:function"
        if callable(found):
            message, hint = f"{name} is asynchronous, and would never be awaited", "give a plain function"
    problems.append(UNUSABLE_FUNCTION(name, message, hint=hint, origin=sourced.origin))
    return None


def _password_setting(sources: Sequence[Source], dsn: ParsedDsn | None, problems: list[Problem]) -> str:
    """Return the setting that the password is read with; empty if there is none, or if text overrides it."""
    for source in sources:
        found = [(name, source.settings[(name,)]) for name in PASSWORD_SOURCES if (name,) in source.settings]
        text = source.settings.get(("connection", "password"))
        if found:
            names = [name for name, _ in found]
            if text is not None and text.origin.name == "password":  # the argument, beside the others
                names.insert(0, "password")
            if len(names) > 1:
                name, sourced = found[-1]
                message = f"{' and '.join(names)} are set in one place"
                problems.append(COMPETING_PASSWORDS(name, message, hint="keep one", origin=sourced.origin))
            return found[0][0]
        if text is not None or (dsn and source.dsn is dsn.sourced and "password" in dsn.parameters):
            break
    return ""


def _password(name: str, sourced: SourcedValue | None, problems: list[Problem]) -> PasswordFunction | None:
    if sourced is None:
        return None
    from procrastinate_conn import passwords  # not above: most configurations have a constant password

    value, origin = sourced.value, sourced.origin
    expected = "a plain function" if callable(value) else _EXPECTED[name]
    hint = f"give {expected}"
    if callable(value):
        if name == "password" and not is_async(value):
            return passwords.from_function(value, origin)
        hint += ": an asynchronous connector calls it in a thread"
    elif name == "password_file" and isinstance(value, str | os.PathLike) and str(value):
        return passwords.from_file(str(value), origin)
    elif name == "password_command" and isinstance(value, str) and value.strip():
        with suppress(ValueError):
            return passwords.from_command(value, origin)
        hint = "close every quote, and end it with no backslash"
    problems.append(INVALID_VALUE(name, f"{name} is not {expected}", hint=hint, origin=origin))
    return None
