"""Whether a kind of another package describes itself as this version of the package reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, get_args, get_type_hints

from procrastinate_conn.connector_info import (
    INTERFACE_VERSION,
    OTHER_POOL_OPTIONS,
    POOL_OPTIONS,
    ConnectorInfo,
    OptionSupport,
)
from procrastinate_conn.imports import DOTTED, OBJECT_PATH
from procrastinate_conn.similarity import nearest


def rejection(info: object) -> str:
    """Return why an object cannot describe a kind, as a predicate; empty if it can."""
    if not isinstance(info, ConnectorInfo):
        return f"is of type {type(info).__name__}, which is no ConnectorInfo"
    if info.interface is None:
        return "states no version of the interface: ConnectorInfo(interface=...)"
    if _is_number(info.interface) and info.interface != INTERFACE_VERSION:
        versions = f"version {info.interface} of the interface, and the installed one is {INTERFACE_VERSION}"
        return f"is written for {versions}"
    for field, (is_valid, expected) in _FIELDS.items():
        if not is_valid(getattr(info, field)):
            return f"has a ConnectorInfo whose {field} is not {expected}"
    return next((_unknown(option) for option in info.pool_options if option not in _OPTIONS), "")


def is_newer(info: object) -> bool:
    """Return whether it was written for a newer version of this package."""
    version = info.interface if isinstance(info, ConnectorInfo) else None
    return _is_number(version) and version > INTERFACE_VERSION


_OPTIONS = (*POOL_OPTIONS, *OTHER_POOL_OPTIONS)


def _unknown(option: str) -> str:
    near = nearest(option, _OPTIONS)
    hint = f"did you mean {near}?" if near else f"the options are {', '.join(_OPTIONS)}"
    return f"has a ConnectorInfo with a pool option {option} that does not exist: {hint}"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int


def _is_path(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(OBJECT_PATH, value) is not None


def _is_text_tuple(value: object) -> TypeGuard[tuple[str, ...]]:
    return isinstance(value, tuple) and all(map(_is_text, value))


def _is_modules(value: object) -> bool:
    return _is_text_tuple(value) and all(re.fullmatch(DOTTED, module) for module in value)


def _is_support(value: object) -> bool:
    choices = get_args(get_type_hints(OptionSupport)["how"])
    return isinstance(value, OptionSupport) and value.how in choices and isinstance(value.sentence, str)


def _maps_text(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return whether a value is a mapping of text to values of one type."""

    def is_mapping(value: object) -> bool:
        return isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(is_valid, value.values()))

    return is_mapping


_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "interface": (_is_number, "a number"),
    "implementation": (_is_path, "package.module:class"),
    "drivers": (_is_modules, "a tuple of modules"),
    "asynchronous": (_is_bool, "True or False"),
    "resolves_hosts": (_is_bool, "True or False"),
    "pool_options": (_maps_text(_is_support), "a mapping of names to OptionSupport"),
    "unsupported_keywords": (_maps_text(_is_text_tuple), "a mapping of keywords to tuples of values"),
    "class_module": (_is_text, "text"),
    "class_name": (_is_text, "text"),
    "extra": (_is_text, "text"),
    "aliases": (_is_text_tuple, "a tuple of names"),
    "size_by_hand": (_is_number, "a number"),
}
"""What the fields have to be: no type checker has seen those of other packages."""
