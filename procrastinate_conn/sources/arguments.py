"""The arguments of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from procrastinate_conn.origins import Located, Origin
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.base import Path, Place
from procrastinate_conn.sources.meant import meant_by
from procrastinate_conn.sources.setting_names import OPTIONS, SECTIONS, SETTINGS
from procrastinate_conn.suggestions import nearest

ARGUMENTS = (*SETTINGS, "password")
"""The settings that can be given as arguments."""


def read_call(arguments: Mapping[str, object]) -> Place:
    """Read the arguments of a call; one that is None counts as not given.

    Of a password in ``connection`` and one beside it the latter counts, in whatever order they are given.

    Parameters
    ----------
    arguments
        Name to value: the settings, ``connection`` and ``pool`` being mappings, and ``password``.
    """
    settings: dict[Path, Located] = {}
    problems: list[Problem] = []
    for name, value in sorted(arguments.items(), key=lambda argument: argument[0] == "password"):
        origin = Origin("call", name)
        if value is None:
            continue
        if name not in ARGUMENTS:
            problems.append(
                rules.UNKNOWN_SETTING(
                    name, f"no setting is called {name}", hint=_suggestion(name), origin=origin
                )
            )
        elif name in SECTIONS and isinstance(value, Mapping):
            settings.update(_parts(name, value))
            if name == "pool":
                settings[(name,)] = Located(OPTIONS, origin)
        elif isinstance(value, PoolOptions):
            settings.update({(name, option): located for option, located in value.located(origin).items()})
            settings[(name,)] = Located("null" if value.null else OPTIONS, origin)
        elif name == "password" and isinstance(value, str | SecretStr):
            settings[("connection", name)] = Located(_plain(value), origin)
        elif name == "connection":
            problems.append(
                rules.NOT_AN_OBJECT(
                    name,
                    f"connection is a {type(value).__name__}, not a mapping",
                    hint='write connection={"host": "db1"}',
                    origin=origin,
                )
            )
        else:
            settings[(name,)] = Located(_plain(value), origin)
    return Place("call", settings, problems=tuple(problems))


def _suggestion(name: str) -> str:
    if f"_{name}" in ("_env_file", "_secrets_dir"):
        return f"did you mean _{name}?"
    near = nearest(name, ARGUMENTS) or meant_by((name,))
    if near is None:
        return f"the arguments are {', '.join(ARGUMENTS)}"
    section, _, part = near.partition("__")
    return f'write {section}={{"{part}": ...}}' if part else f"did you mean {near}?"


def _parts(section: str, parts: Mapping[object, object]) -> Iterator[tuple[Path, Located]]:
    for name, part in parts.items():
        if part is not None or section == "pool":
            yield (section, str(name)), Located(_plain(part), Origin("call", f'{section}["{name}"]'))


def _plain(value: object) -> object:
    """Return text as plain text: also a secret, and the member of an enumeration of texts."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return str.__str__(value) if isinstance(value, str) else value
