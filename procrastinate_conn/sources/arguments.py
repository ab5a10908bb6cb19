"""The arguments of a call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.origins import CALL, Origin, SourcedValue, SourceKind
from procrastinate_conn.setting_names import (
    AS_MAPPING,
    LISTEN_DSN,
    SECTION_WORDS,
    SECTIONS,
    SETTINGS,
    SettingPath,
)
from procrastinate_conn.sources.base import NOT_AN_OBJECT, UNKNOWN_SETTING, Source

ARGUMENTS = (*SETTINGS, "password")
"""The settings that can be given as arguments."""


@runtime_checkable
class SourcedOptions(Protocol):
    """Pool options as an object, which is `PoolOptions`; its room is above this one."""

    null: bool

    def sourced(self, origin: Origin) -> dict[str, SourcedValue]:
        """Return the options that were set, all with one origin."""


def read_call(arguments: Mapping[str, object], fields: Collection[str] = ()) -> Source:
    """Read the arguments of a call: the settings, and ``password``; one that is None counts as not given.

    The argument ``password`` overrides a password in ``connection``, in whatever order they are given.
    """

    def origin(path: SettingPath) -> Origin:
        return Origin("call", path[0] + "".join(f'["{part}"]' for part in path[1:]))

    def hint(name: str) -> str:
        return suggestions.argument_hint(name, (*ARGUMENTS, *sorted(fields)))

    return read_mapping(CALL, arguments, origin, hint, fields)


def read_mapping(
    kind: SourceKind,
    values: Mapping[str, object],
    origin: Callable[[SettingPath], Origin],
    hint: Callable[[str], str],
    fields: Collection[str] = (),
) -> Source:
    """Read settings that are objects already; one that is None counts as not set.

    `origin` returns where a setting is written, `hint` what was probably meant by an unknown name. The
    `fields` are the application's own.
    """
    source = Source(kind)
    for name, value in sorted(values.items(), key=lambda item: item[0] == "password"):
        place = origin((name,))
        if name in fields:
            source.fields[name] = SourcedValue(value, place)
        elif value is None:
            continue
        elif name not in ARGUMENTS:
            message = f"no setting is called {name}"
            source.problems.append(UNKNOWN_SETTING(name, message, hint=hint(name), origin=place))
        elif name in SECTIONS and isinstance(value, Mapping):
            source.settings.update(_section(name, value, origin))
            if name in SECTION_WORDS:
                source.settings[(name,)] = SourcedValue(AS_MAPPING, place)
        elif name == "pool" and isinstance(value, SourcedOptions):
            source.settings.update(
                {(name, option): sourced for option, sourced in value.sourced(place).items()}
            )
            source.settings[(name,)] = SourcedValue("null" if value.null else AS_MAPPING, place)
        elif name == "password" and isinstance(value, str | SecretStr):
            source.settings[("connection", name)] = SourcedValue(_plain(value), place)
        elif name == "connection":
            message = f"connection is a {type(value).__name__}, not a mapping"
            example = 'write connection={"host": "db1"}' if kind is CALL else "write its keywords one by one"
            source.problems.append(NOT_AN_OBJECT(name, message, hint=example, origin=place))
        else:
            source.settings[(name,)] = SourcedValue(_plain(value), place)
    return source


def with_null_pool(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return values that were parsed from text, in which a null is a null pool, as a call has them."""
    return {**values, "pool": SECTION_WORDS["pool"]} if values.get("pool", "") is None else values


def _section(
    section: str, options: Mapping[object, object], origin: Callable[[SettingPath], Origin]
) -> Iterator[tuple[SettingPath, SourcedValue]]:
    for name, value in options.items():
        path = (section, str(name))
        # None is a value of some pool options; a keyword that it leaves unset has to be one.
        is_keyword = path == LISTEN_DSN or path[1] in libpq.keywords()
        if value is not None or section == "pool" or not is_keyword:
            yield path, SourcedValue(_plain(value), origin(path))


def _plain(value: object) -> object:
    """Return text as plain text: that of a secret, of a URL of pydantic's, or of a member of a `StrEnum`."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    elif callable(write_url := getattr(type(value), "unicode_string", None)):
        value = write_url(value)
    return str.__str__(value) if isinstance(value, str) else value
