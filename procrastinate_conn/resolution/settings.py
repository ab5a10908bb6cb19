"""Who wins among the settings that have one value."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from procrastinate_conn.origins import Located
from procrastinate_conn.pool.callables import imported, is_async
from procrastinate_conn.pool.refused import Refused
from procrastinate_conn.pool.shown import shown
from procrastinate_conn.problems import Problem
from procrastinate_conn.quotes import LEAVE_OUT, in_quotes
from procrastinate_conn.registry import ConnectorKind, suggestion
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.base import Place
from procrastinate_conn.sources.defaults import Defaults
from procrastinate_conn.sources.dsn import read_dsn

if TYPE_CHECKING:
    from procrastinate_conn.passwords import PasswordSource

PASSWORD_SOURCES = ("password", "password_file", "password_command")


@dataclass(frozen=True, slots=True)
class Settings:
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
    password: Callable[[], str] | None = field(repr=False)  # `PasswordSource`, for pydantic to evaluate
    stated: dict[str, Located]
    problems: tuple[Problem, ...]


def resolve_settings(places: Sequence[Place]) -> Settings:
    """Take each setting from the nearest place that states it.

    Parameters
    ----------
    places
        The places that settings are written in, the nearest first.
    """
    stated: dict[str, Located] = {}
    for place in reversed(places):
        stated.update({path[0]: located for path, located in place.settings.items() if len(path) == 1})
    problems = [problem for place in places for problem in place.problems]
    return Settings(
        kind=_kind(stated.get("connector"), problems),
        defaults=_defaults(stated.get("defaults"), problems),
        json_dumps=_function("json_dumps", stated.get("json_dumps"), problems),
        json_loads=_function("json_loads", stated.get("json_loads"), problems),
        password=_password(places, problems),
        stated=stated,
        problems=tuple(problems),
    )


def _kind(stated: Located | None, problems: list[Problem]) -> ConnectorKind:
    if stated is None:
        return ConnectorKind.PSYCOPG
    try:
        return ConnectorKind(str(stated.value))
    except ValueError:
        problems.append(
            rules.WRONG_VALUE(
                "connector",
                f"there is no connector {shown(stated.value)}",
                hint=LEAVE_OUT if in_quotes(stated.value) else suggestion(str(stated.value)),
                origin=stated.origin,
            )
        )
        return ConnectorKind.PSYCOPG


def _defaults(stated: Located | None, problems: list[Problem]) -> Defaults:
    if stated is None:
        return "resilient"
    for defaults in get_args(Defaults):
        if isinstance(stated.value, str) and stated.value.strip().lower() == defaults:
            return defaults  # type: ignore[no-any-return]  # get_args is not typed
    problems.append(
        rules.WRONG_VALUE(
            "defaults",
            f"defaults is {shown(stated.value)}",
            hint=LEAVE_OUT if in_quotes(stated.value) else f"write one of {', '.join(get_args(Defaults))}",
            origin=stated.origin,
        )
    )
    return "resilient"


def _function(name: str, stated: Located | None, problems: list[Problem]) -> Callable[..., Any] | None:
    if stated is None:
        return None
    try:
        found = imported(name, stated.value.strip()) if isinstance(stated.value, str) else stated.value
    except Refused as refused:
        problems.append(rules.NOT_IMPORTABLE(name, refused.message, hint=refused.hint, origin=stated.origin))
        return None
    if callable(found) and not is_async(found):
        return found
    if callable(found):
        message, hint = f"{name} is asynchronous, and nobody would await it", "give a plain function"
    else:
        message = f"{name} is a {type(found).__name__}, not a function"
        hint = "give a function, or package.module:function"
    problems.append(rules.NOT_IMPORTABLE(name, message, hint=hint, origin=stated.origin))
    return None


def _password(places: Sequence[Place], problems: list[Problem]) -> PasswordSource | None:
    """Take the password source of the nearest place that states one; a password that is nearer wins."""
    for place in places:
        stated = [(name, place.settings[(name,)]) for name in PASSWORD_SOURCES if (name,) in place.settings]
        text = place.settings.get(("connection", "password"))
        is_argument = text is not None and text.origin.name == "password"
        competing = [*(["password"] if is_argument else []), *(name for name, _ in stated)]
        if stated and len(competing) > 1:
            names = " and ".join(competing)
            problems.append(
                rules.COMPETING_PASSWORDS(
                    stated[-1][0],
                    f"{names} are stated in one place",
                    hint="keep one",
                    origin=stated[-1][1].origin,
                )
            )
        if stated:
            return _password_source(*stated[0], problems)
        if ("connection", "password") in place.settings or place is _place_of_dsn_with_password(places):
            return None
    return None


def _place_of_dsn_with_password(places: Sequence[Place]) -> Place | None:
    """Return the place of the DSN that counts, if that one states a password."""
    place = next((place for place in places if ("dsn",) in place.settings), None)
    if place is None:
        return None
    stated, _ = read_dsn(place.settings["dsn",])
    return place if "password" in stated else None


def _password_source(name: str, stated: Located, problems: list[Problem]) -> PasswordSource | None:
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
    problems.append(rules.WRONG_VALUE(name, f"{name} is not {expected}", hint=hint, origin=stated.origin))
    return None


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
