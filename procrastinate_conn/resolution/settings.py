"""Who wins among the settings that have one value."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from procrastinate_conn import suggestions
from procrastinate_conn.imports import ObjectNotFound, import_object, is_async
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import describe_value
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.sources.base import INVALID_VALUE, Source
from procrastinate_conn.sources.defaults import Defaults
from procrastinate_conn.sources.dsn import ParsedDsn
from procrastinate_conn.suggestions import LEAVE_OUT_QUOTES, is_quoted

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


PASSWORD_SOURCES = ("password", "password_file", "password_command")


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """The settings that have one value, in their types.

    Parameters
    ----------
    kind
        The connector that was asked for, or the default.
    defaults
        Whether the resilient defaults are on.
    json_dumps, json_loads
        As procrastinate's connectors take them.
    password
        Where a password that changes comes from.
    stated
        Where each of them is written, for those that are.
    problems
        What is wrong with those that cannot be used.
    """

    kind: ConnectorKind
    defaults: Defaults
    json_dumps: Callable[[Any], str] | None
    json_loads: Callable[[str], Any] | None
    password: Callable[[], str] | None = field(repr=False)  # `PasswordFunction`, for pydantic to evaluate
    explicit: dict[str, SourcedValue]
    problems: tuple[Problem, ...]


def resolve_settings(sources: Sequence[Source], dsn: ParsedDsn | None) -> ResolvedSettings:
    """Take each setting from the nearest place that states it.

    Parameters
    ----------
    places
        The places that settings are written in, the nearest first.
    dsn
        The effective DSN, which may have a password.
    """
    explicit: dict[str, SourcedValue] = {}
    for source in reversed(sources):
        explicit.update({path[0]: sourced for path, sourced in source.settings.items() if len(path) == 1})
    problems = [problem for source in sources for problem in source.problems]
    return ResolvedSettings(
        kind=_kind(explicit.get("connector"), problems),
        defaults=_defaults(explicit.get("defaults"), problems),
        json_dumps=_function("json_dumps", explicit.get("json_dumps"), problems),
        json_loads=_function("json_loads", explicit.get("json_loads"), problems),
        password=_password(sources, dsn, problems),
        explicit=explicit,
        problems=tuple(problems),
    )


def _kind(stated: SourcedValue | None, problems: list[Problem]) -> ConnectorKind:
    if stated is None:
        return ConnectorKind.PSYCOPG
    try:
        return ConnectorKind(str(stated.value))
    except ValueError:
        problems.append(
            INVALID_VALUE(
                "connector",
                f"there is no connector {describe_value(stated.value)}",
                hint=LEAVE_OUT_QUOTES
                if is_quoted(stated.value)
                else suggestions.connector(str(stated.value)),
                origin=stated.origin,
            )
        )
        return ConnectorKind.PSYCOPG


def _defaults(stated: SourcedValue | None, problems: list[Problem]) -> Defaults:
    if stated is None:
        return "resilient"
    for defaults in get_args(Defaults):
        if isinstance(stated.value, str) and stated.value.strip().lower() == defaults:
            return defaults  # type: ignore[no-any-return]  # get_args is not typed
    problems.append(
        INVALID_VALUE(
            "defaults",
            f"defaults is {describe_value(stated.value)}",
            hint=LEAVE_OUT_QUOTES
            if is_quoted(stated.value)
            else f"write one of {', '.join(get_args(Defaults))}",
            origin=stated.origin,
        )
    )
    return "resilient"


def _function(name: str, stated: SourcedValue | None, problems: list[Problem]) -> Callable[..., Any] | None:
    if stated is None:
        return None
    try:
        found = import_object(stated.value.strip()) if isinstance(stated.value, str) else stated.value
    except ObjectNotFound as error:
        problems.append(
            UNUSABLE_FUNCTION(name, f"{name} {error.message}", hint=error.hint, origin=stated.origin)
        )
        return None
    if callable(found) and not is_async(found):
        return found
    if callable(found):
        message, hint = f"{name} is asynchronous, and nobody would await it", "give a plain function"
    else:
        message = f"{name} is a {type(found).__name__}, not a function"
        hint = "give a function, or package.module:function"
    problems.append(UNUSABLE_FUNCTION(name, message, hint=hint, origin=stated.origin))
    return None


def _password(
    sources: Sequence[Source], dsn: ParsedDsn | None, problems: list[Problem]
) -> PasswordFunction | None:
    """Take the password source of the nearest place that states one; a password that is nearer wins."""
    for source in sources:
        stated = [(name, source.settings[(name,)]) for name in PASSWORD_SOURCES if (name,) in source.settings]
        text = source.settings.get(("connection", "password"))
        is_argument = text is not None and text.origin.name == "password"
        competing = [*(["password"] if is_argument else []), *(name for name, _ in stated)]
        if stated and len(competing) > 1:
            names = " and ".join(competing)
            problems.append(
                COMPETING_PASSWORDS(
                    stated[-1][0],
                    f"{names} are stated in one place",
                    hint="keep one",
                    origin=stated[-1][1].origin,
                )
            )
        if stated:
            return _password_source(*stated[0], problems)
        if text is not None or _has_password(dsn, source):
            return None
    return None


def _has_password(dsn: ParsedDsn | None, source: Source) -> bool:
    """Tell whether the DSN stands in that source, and has a password."""
    is_here = dsn is not None and source.settings.get(("dsn",)) is dsn.sourced
    return is_here and dsn is not None and "password" in dsn.parameters


def _password_source(name: str, stated: SourcedValue, problems: list[Problem]) -> PasswordFunction | None:
    from procrastinate_conn import passwords  # not above: most configurations have none that changes

    if name == "password" and callable(stated.value) and not is_async(stated.value):
        return passwords.from_function(stated.value, stated.origin)
    if name == "password_file" and isinstance(stated.value, str | os.PathLike) and str(stated.value):
        return passwords.from_file(str(stated.value), stated.origin)
    if name == "password_command" and isinstance(stated.value, str) and _words(stated.value):
        return passwords.from_command(stated.value, stated.origin)
    expected = {
        "password": "text or a plain function",
        "password_file": "the name of a file",
        "password_command": "a command line",
    }[name]
    hint = f"give {expected}"
    if name == "password_command" and isinstance(stated.value, str) and stated.value.strip():
        hint = "close every quote, and end it with no backslash"
    if callable(stated.value):
        expected = "a plain function"
        hint = "give a plain function: an asynchronous connector calls it in a thread"
    problems.append(INVALID_VALUE(name, f"{name} is not {expected}", hint=hint, origin=stated.origin))
    return None


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
