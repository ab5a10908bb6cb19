"""The kinds of connector that other packages bring: each is an entry point that names a `ConnectorInfo`.

What is installed is read at the first question about a kind that is none of ours. A package is imported only
for its own kinds, or if all kinds are listed; one that cannot be imported does not concern the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
    if name not in _by_name():
        return None
    found = load(name)
    if isinstance(found, UnusableKind):
        raise found.with_traceback(None)
    return found


@cache
def load(name: str) -> ConnectorInfo | UnusableKind:
    """Import the kind of a name that `names` has, or return why it cannot be used."""
    entry_point, *others = _by_name()[name]
    package = packages(name)
    if others:
        uninstall = " or ".join(f"pip uninstall {one.partition(' ')[0]}" for one in package.split(" and "))
        return UnusableKind(name, package, "is ambiguous: each of them brings one", uninstall)
    if not re.fullmatch("[a-z0-9-]+", name):
        return UnusableKind(name, package, "cannot be chosen: a name has letters, digits and hyphens")
    try:
        info = import_object(entry_point.value)
    except ObjectNotFound as error:
        return UnusableKind.after(error, name, package)
    return _validated(info, name, package)


def _validated(info: object, name: str, package: str) -> ConnectorInfo | UnusableKind:
    """Return how a kind describes itself, with its fields in their types: no type checker has seen it."""
    from pydantic import TypeAdapter, ValidationError  # not above: for our kinds it is not needed

    unusable = partial(UnusableKind, name, package)
    if not isinstance(info, ConnectorInfo):
        return unusable(f"is of type {type(info).__name__}, which is no ConnectorInfo")
    try:
        # Not the tuple: pydantic 2.8 would give its fields numbers.
        valid = TypeAdapter(ConnectorInfo).validate_python(info._asdict())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        return unusable(f"has a ConnectorInfo with an invalid {field}: {first['msg']}")
    reason = next(_defects(valid), None)
    if reason is None:
        return valid._replace(package=package)
    is_newer = valid.interface is not None and valid.interface > INTERFACE_VERSION
    return unusable(reason, "pip install --upgrade procrastinate-conn" if is_newer else "")


def _defects(info: ConnectorInfo) -> Iterator[str]:
    """Yield what is wrong with a description whose fields are of their types."""
    if info.interface is None:
        yield "states no version of the interface: ConnectorInfo(interface=...)"
    elif info.interface != INTERFACE_VERSION:
        theirs, ours = info.interface, INTERFACE_VERSION
        yield f"is written for version {theirs} of the interface, and the installed one is {ours}"
    if not re.fullmatch(OBJECT_PATH, info.implementation):
        yield "has a ConnectorInfo whose implementation is not package.module:class"
    if not all(re.fullmatch(DOTTED, module) for module in info.drivers):
        yield "has a ConnectorInfo whose drivers are not all names of modules"
    if unknown := info.pool_options.keys() - POOL_OPTIONS.keys() - set(OTHER_POOL_OPTIONS):
        yield f"has a ConnectorInfo with pool options that do not exist: {', '.join(sorted(unknown))}"


def forget() -> None:
    """Read anew what is installed."""
    _by_name.cache_clear()
    load.cache_clear()
