"""The arguments of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from procrastinate_conn import suggestions
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import Problem
from procrastinate_conn.setting_names import OPTIONS, SECTIONS, SETTINGS
from procrastinate_conn.sources.base import NOT_AN_OBJECT, UNKNOWN_SETTING, Path, Source

ARGUMENTS = (*SETTINGS, "password")
"""The settings that can be given as arguments."""


def read_call(arguments: Mapping[str, object]) -> Source:
    """Read the arguments of a call; one that is None counts as not given.

    Of a password in ``connection`` and one beside it the latter counts, in whatever order they are given.

    Parameters
    ----------
    arguments
        Name to value: the settings, ``connection`` and ``pool`` being mappings, and ``password``.
    """
    settings: dict[Path, SourcedValue] = {}
    problems: list[Problem] = []
    for name, value in sorted(arguments.items(), key=lambda argument: argument[0] == "password"):
        origin = Origin("call", name)
        if value is None:
            continue
        if name not in ARGUMENTS:
            problems.append(
                UNKNOWN_SETTING(
                    name,
                    f"no setting is called {name}",
                    hint=suggestions.argument_hint(name, ARGUMENTS),
                    origin=origin,
                )
            )
        elif name in SECTIONS and isinstance(value, Mapping):
            settings.update(_parts(name, value))
            if name == "pool":
                settings[(name,)] = SourcedValue(OPTIONS, origin)
        elif isinstance(value, PoolOptions):
            settings.update({(name, option): sourced for option, sourced in value.sourced(origin).items()})
            settings[(name,)] = SourcedValue("null" if value.null else OPTIONS, origin)
        elif name == "password" and isinstance(value, str | SecretStr):
            settings[("connection", name)] = SourcedValue(_plain(value), origin)
        elif name == "connection":
            problems.append(
                NOT_AN_OBJECT(
                    name,
                    f"connection is a {type(value).__name__}, not a mapping",
                    hint='write connection={"host": "db1"}',
                    origin=origin,
                )
            )
        else:
            settings[(name,)] = SourcedValue(_plain(value), origin)
    return Source("call", settings, problems=tuple(problems))


def _parts(section: str, parts: Mapping[object, object]) -> Iterator[tuple[Path, SourcedValue]]:
    for name, part in parts.items():
        if part is not None or section == "pool":
            yield (section, str(name)), SourcedValue(_plain(part), Origin("call", f'{section}["{name}"]'))


def _plain(value: object) -> object:
    """Return text as plain text: also a secret, and the member of an enumeration of texts."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return str.__str__(value) if isinstance(value, str) else value
