"""The arguments of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from procrastinate_conn import suggestions
from procrastinate_conn.origins import CALL, Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.setting_names import POOL_AS_MAPPING, SECTIONS, SETTINGS, SettingPath
from procrastinate_conn.sources.base import NOT_AN_OBJECT, UNKNOWN_SETTING, Source

ARGUMENTS = (*SETTINGS, "password")
"""The settings that can be given as arguments."""


@runtime_checkable
class SourcedOptions(Protocol):
    """Pool options as an object, which is `PoolOptions`; its room is above this one."""

    null: bool

    def sourced(self, origin: Origin) -> dict[str, SourcedValue]:
        """Return the options that were set, all with one origin."""


def read_call(arguments: Mapping[str, object]) -> Source:
    """Read the arguments of a call: the settings, and ``password``; one that is None counts as not given.

    The argument ``password`` overrides a password in ``connection``, in whatever order they are given.
    """
    settings: dict[SettingPath, SourcedValue] = {}
    problems: list[Problem] = []
    for name, value in sorted(arguments.items(), key=lambda argument: argument[0] == "password"):
        origin = Origin("call", name)
        if value is None:
            continue
        if name not in ARGUMENTS:
            message, hint = f"no setting is called {name}", suggestions.argument_hint(name, ARGUMENTS)
            problems.append(UNKNOWN_SETTING(name, message, hint=hint, origin=origin))
        elif name in SECTIONS and isinstance(value, Mapping):
            settings.update(_section(name, value))
            if name == "pool":
                settings[(name,)] = SourcedValue(POOL_AS_MAPPING, origin)
        elif isinstance(value, SourcedOptions):
            settings.update({(name, option): sourced for option, sourced in value.sourced(origin).items()})
            settings[(name,)] = SourcedValue("null" if value.null else POOL_AS_MAPPING, origin)
        elif name == "password" and isinstance(value, str | SecretStr):
            settings[("connection", name)] = SourcedValue(_plain(value), origin)
        elif name == "connection":
            message = f"connection is a {type(value).__name__}, not a mapping"
            hint = 'write connection={"host": "db1"}'
            problems.append(NOT_AN_OBJECT(name, message, hint=hint, origin=origin))
        else:
            settings[(name,)] = SourcedValue(_plain(value), origin)
    return Source(CALL, settings, problems=tuple(problems))


def _section(section: str, options: Mapping[object, object]) -> Iterator[tuple[SettingPath, SourcedValue]]:
    for name, value in options.items():
        if value is not None or section == "pool":  # None is a value of some pool options
            yield (section, str(name)), SourcedValue(_plain(value), Origin("call", f'{section}["{name}"]'))


def _plain(value: object) -> object:
    """Return text as plain text: that of a secret, or of a member of a `StrEnum`."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return str.__str__(value) if isinstance(value, str) else value
