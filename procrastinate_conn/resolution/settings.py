"""The precedence and the types of the settings that have one value."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

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

_Value = TypeVar("_Value")
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


class _Invalid(Exception):
    """A value that its setting cannot have; the message and the hint are those of the problem."""

    def __init__(self, message: str, hint: str, rule: Rule = INVALID_VALUE) -> None:
        super().__init__(message)
        self.message, self.hint, self.rule = message, hint, rule


def resolve_settings(sources: Sequence[Source], dsn: ParsedDsn | None) -> ResolvedSettings:
    """Take each setting from the first source that sets it; the effective DSN may have the password."""
    explicit = {
        path[0]: sourced
        for source in reversed(sources)
        for path, sourced in source.settings.items()
        if len(path) == 1
    }
    problems = [problem for source in sources for problem in source.problems]

    def converted(name: str, convert: Callable[[str, SourcedValue], _Value], default: _Value) -> _Value:
        if (sourced := explicit.get(name)) is None:
            return default
        try:
            return convert(name, sourced)
        except _Invalid as invalid:
            hint = invalid.hint
            if name not in PASSWORD_SOURCES:
                hint = hint_for(sourced.value, hint, sourced.origin.source)
            problems.append(invalid.rule(name, invalid.message, hint=hint, origin=sourced.origin))
            return default

    password_setting = _password_setting(sources, dsn, problems)
    password = converted(password_setting, _password, None)
    return ResolvedSettings(
        kind=converted("connector", _kind, DEFAULT_KIND),
        defaults=converted("defaults", _defaults, "resilient"),
        json_dumps=converted("json_dumps", _function, None),
        json_loads=converted("json_loads", _function, None),
        password=password,
        password_setting=password_setting if password else "",
        explicit=explicit,
        problems=tuple(problems),
    )


def _kind(_name: str, sourced: SourcedValue) -> ConnectorKind:
    kind = str(sourced.value)
    try:
        return ConnectorKind(kind)
    except UnusableKind as error:
        raise _Invalid(str(error), error.hint, drivers.UNUSABLE_KIND) from None
    except ValueError:
        message = f"there is no connector {describe_value(sourced.value)}"
        raise _Invalid(message, suggestions.connector(kind)) from None


def _defaults(_name: str, sourced: SourcedValue) -> Defaults:
    for defaults in _DEFAULTS:
        if str(sourced.value).strip().lower() == defaults:
            return defaults
    raise _Invalid(f"defaults is {describe_value(sourced.value)}", f"write one of {', '.join(_DEFAULTS)}")


def _function(name: str, sourced: SourcedValue) -> Callable[..., Any]:
    found = sourced.value
    if isinstance(found, str):
        try:
            found = import_object(found.strip())
        except ObjectNotFound as error:
            raise _Invalid(f"{name} {error.message}", error.hint, UNUSABLE_FUNCTION) from None
    if not callable(found):
        message = f"{name} is a {type(found).__name__}, not a function"
        raise _Invalid(message, "give a function, or package.module:function", UNUSABLE_FUNCTION)
    if is_async(found):
        message = f"{name} is asynchronous, and would never be awaited"
        raise _Invalid(message, "give a plain function", UNUSABLE_FUNCTION)
    return found


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


def _password(name: str, sourced: SourcedValue) -> PasswordFunction:
    from procrastinate_conn import passwords  # not above: most configurations have a constant password

    value, origin = sourced.value, sourced.origin
    if callable(value):
        if name == "password" and not is_async(value):
            return passwords.from_function(value, origin)
        hint = "give a plain function: an asynchronous connector calls it in a thread"
        raise _Invalid(f"{name} is not a plain function", hint)
    hint = f"give {_EXPECTED[name]}"
    if name == "password_file" and isinstance(value, str | os.PathLike) and str(value):
        return passwords.from_file(str(value), origin)
    if name == "password_command" and isinstance(value, str) and value.strip():
        with suppress(ValueError):
            return passwords.from_command(value, origin)
        hint = "close every quote, and end it with no backslash"
    raise _Invalid(f"{name} is not {_EXPECTED[name]}", hint)
