"""The kinds of connector that other packages bring: each is an entry point that names a `ConnectorInfo`.

What is installed is read at the first question about a kind that is none of ours. A package is imported only
for its own kinds, or if all kinds are listed; one that cannot be imported does not concern the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from procrastinate_conn.connector_info import (
    INTERFACE_VERSION,
    OTHER_POOL_OPTIONS,
    POOL_OPTIONS,
    ConnectorInfo,
)
from procrastinate_conn.imports import DOTTED, OBJECT_PATH, ObjectNotFound, import_object

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "procrastinate_conn.connectors"


class UnusableKind(ValueError):
    """A kind that an installed package brings, and that cannot be used; the reason is a predicate."""

    def __init__(self, name: str, packages: str, reason: str, hint: str = "") -> None:
        package = packages.partition(" ")[0]
        self.name, self.packages = name, packages
        self.hint = hint or f"pip install --upgrade {package}, or pip uninstall {package}"
        super().__init__(f"the connector {name} of {packages} {reason}")

    @classmethod
    def after(cls, error: ObjectNotFound, name: str, packages: str) -> UnusableKind:
        """Return the error about a kind of which an object cannot be imported."""
        unusable = cls(name, packages, error.message)
        if error.missing:
            unusable.hint = f"install the module {error.missing}, or {unusable.hint}"
        return unusable


@cache
def _by_name() -> Mapping[str, list[EntryPoint]]:
    from importlib.metadata import entry_points  # not above: with a kind of this package it is not needed

    found: dict[str, list[EntryPoint]] = {}
    for entry_point in entry_points(group=GROUP):
        found.setdefault(entry_point.name.lower().replace("_", "-"), []).append(entry_point)
    return found


def names() -> tuple[str, ...]:
    """Return the names of the kinds, usable or not; nothing is imported."""
    return tuple(sorted(_by_name()))


def packages(name: str) -> str:
    """Return the distributions that bring a kind, with their versions."""
    found = (entry_point.dist for entry_point in _by_name()[name])
    return " and ".join(sorted(f"{d.name} {d.version}" if d else "an unknown package" for d in found))


def find(name: str) -> ConnectorInfo | None:
    """Return the kind of that name, None if there is none; raise `UnusableKind` if it cannot be used."""
    return load(name) if name in _by_name() else None


@cache
def load(name: str) -> ConnectorInfo:
    """Import the kind of a name that `names` has, or raise `UnusableKind`."""
    entry_point, *others = _by_name()[name]
    package = packages(name)
    if others:
        uninstall = " or ".join(f"pip uninstall {one.partition(' ')[0]}" for one in package.split(" and "))
        raise UnusableKind(name, package, "is ambiguous: each of them brings one", uninstall)
    if not re.fullmatch("[a-z0-9-]+", name):
        raise UnusableKind(name, package, "cannot be chosen: a name has letters, digits and hyphens")
    try:
        info = import_object(entry_point.value)
    except ObjectNotFound as error:
        raise UnusableKind.after(error, name, package) from None
    return _validated(info, partial(UnusableKind, name, package))._replace(package=package)


def _validated(info: object, unusable: Callable[..., UnusableKind]) -> ConnectorInfo:
    """Return how a kind describes itself, with its fields in their types: no type checker has seen it."""
    from pydantic import TypeAdapter, ValidationError  # not above: for our kinds it is not needed

    if not isinstance(info, ConnectorInfo):
        raise unusable(f"is of type {type(info).__name__}, which is no ConnectorInfo")
    try:
        # Not the tuple: pydantic 2.8 would give its fields numbers.
        info = TypeAdapter(ConnectorInfo).validate_python(info._asdict())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise unusable(f"has a ConnectorInfo with an invalid {field}: {first['msg']}") from None
    theirs, ours = info.interface, INTERFACE_VERSION
    if theirs is None:
        raise unusable("states no version of the interface: ConnectorInfo(interface=...)")
    if theirs != ours:
        reason = f"is written for version {theirs} of the interface, and the installed one is {ours}"
        raise unusable(reason, "pip install --upgrade procrastinate-conn" if theirs > ours else "")
    if not re.fullmatch(OBJECT_PATH, info.implementation):
        raise unusable("has a ConnectorInfo whose implementation is not package.module:class")
    if not all(re.fullmatch(DOTTED, module) for module in info.drivers):
        raise unusable("has a ConnectorInfo whose drivers are not all names of modules")
    if unknown := info.pool_options.keys() - POOL_OPTIONS.keys() - set(OTHER_POOL_OPTIONS):
        options = ", ".join(sorted(unknown))
        raise unusable(f"has a ConnectorInfo with pool options that do not exist: {options}")
    return info


def forget() -> None:
    """Read anew what is installed."""
    _by_name.cache_clear()
    load.cache_clear()
