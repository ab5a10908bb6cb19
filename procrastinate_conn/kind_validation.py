"""Validates how a kind of another package describes itself: no type checker of ours has seen it."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from procrastinate_conn.connector_info import (
    INTERFACE_VERSION,
    OTHER_POOL_OPTIONS,
    POOL_OPTIONS,
    ConnectorInfo,
)
from procrastinate_conn.similarity import nearest

_OPTIONS = (*POOL_OPTIONS, *OTHER_POOL_OPTIONS)

_NEWER = "pip install --upgrade procrastinate-conn"


class InvalidInfo(Exception):
    """An object does not describe a kind as this version of the package reads it.

    The `reason` is a predicate; the `hint` is empty if the other package is the one to change.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


def validated(info: object) -> ConnectorInfo:
    """Return the description of a kind with its fields in their types, or raise `InvalidInfo`."""
    if not isinstance(info, ConnectorInfo):
        raise InvalidInfo(f"is of type {type(info).__name__}, which is no ConnectorInfo")
    try:
        valid = TypeAdapter(ConnectorInfo).validate_python(info)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInfo(f"has a ConnectorInfo with an invalid {field}: {first['msg']}") from None
    if valid.interface is None:
        raise InvalidInfo("states no version of the interface: ConnectorInfo(interface=...)")
    if valid.interface != INTERFACE_VERSION:
        versions = f"version {valid.interface} of the interface, and the installed one is {INTERFACE_VERSION}"
        is_newer = valid.interface > INTERFACE_VERSION
        raise InvalidInfo(f"is written for {versions}", _NEWER if is_newer else "")
    for option in valid.pool_options:
        if option not in _OPTIONS:
            near = nearest(option, _OPTIONS)
            hint = f"did you mean {near}?" if near else f"the options are {', '.join(_OPTIONS)}"
            raise InvalidInfo(f"has a ConnectorInfo with a pool option {option} that does not exist: {hint}")
    return valid
