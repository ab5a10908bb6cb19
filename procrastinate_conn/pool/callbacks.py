"""Which callbacks and classes a kind of connector can take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from procrastinate_conn.imports import is_async
from procrastinate_conn.pool.callables import (
    UNUSABLE_CALLBACK,
    candidates,
    fits,
    pick,
    takes_one_argument,
)
from procrastinate_conn.pool.introspection import Parameter
from procrastinate_conn.pool.refused import InvalidOption
from procrastinate_conn.redaction import format_value
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.rules import Example, Rule

SYNC_ASYNC_MISMATCH = Rule(
    "PC308",
    "pool callback of the wrong colour",
    "An asynchronous pool awaits its callbacks and a synchronous one calls them: with the wrong one the pool"
    " never fills, or the callback silently never runs.",
    "Write `async def` for an asynchronous kind, `def` for a synchronous one, or give both as a pair.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure",
        files={"database.py": "def configure(connection): ...\n"},
    ),
)


Sides = Mapping[bool, Parameter]
"""An option as the asynchronous pool (True) and the synchronous one (False) declare it."""


def fitted(sides: Sides, value: object, kind: ConnectorKind) -> object:
    """Return what a callback option states, in the form that PoolOptions keeps.

    Parameters
    ----------
    sides
        The option.
    value
        As it is written: one callable or a pair, in either order, themselves or by name.
    kind
        What it is for.

    Returns
    -------
    object
        None, one callable, or a pair with the asynchronous one first.

    Raises
    ------
    InvalidOption
        One cannot be imported or called, or the colours are not those that the kind needs.
    """
    asynchronous = REGISTRY[kind].asynchronous
    parameter = sides[asynchronous]
    if parameter.nullable and (
        value is None or (isinstance(value, str) and value.strip().lower() in ("none", "null"))
    ):
        return None
    found = candidates(parameter.name, value)
    if parameter.is_class:
        _require_classes(sides, found)
    else:
        _require_one_argument(parameter.name, found)
    _require_colours(sides, found, kind)
    if len(found) == 1:
        return found[0]
    return tuple(sorted(found, key=lambda member: not _is_asynchronous(sides, member)))


def lacks_synchronous(side: Parameter, fitted: object) -> bool:
    """Return whether the synchronous pool of an asynchronous kind goes without what was given."""
    return fitted is not None and pick(side, fitted) is None


def _require_one_argument(name: str, found: tuple[Callable[..., Any], ...]) -> None:
    for function in found:
        if not takes_one_argument(function):
            raise InvalidOption(
                UNUSABLE_CALLBACK,
                f"{name} is {format_value(function)}, which cannot be called with one argument",
                "psycopg_pool calls it with the connection, and reconnect_failed with the pool",
            )


def _require_classes(sides: Sides, found: tuple[Callable[..., Any], ...]) -> None:
    for cls in found:
        if not any(fits(side, cls) for side in sides.values()):
            classes = " or ".join(format_value(side.default) for side in sides.values())
            raise InvalidOption(
                UNUSABLE_CALLBACK,
                f"{sides[True].name} is {format_value(cls)}, which is not a subclass of {classes}",
                "derive it from psycopg's class",
            )


def _require_colours(sides: Sides, found: tuple[Callable[..., Any], ...], kind: ConnectorKind) -> None:
    name = sides[True].name
    if len(found) == len(sides) and len({_is_asynchronous(sides, member) for member in found}) == 1:
        raise InvalidOption(
            SYNC_ASYNC_MISMATCH,
            f"{name} gives two of the same colour",
            "a pair is one for asynchronous use and one for synchronous use",
        )
    if pick(sides[REGISTRY[kind].asynchronous], found) is None:
        raise InvalidOption(SYNC_ASYNC_MISMATCH, *_wrong_colour(name, found[0], kind))


def _is_asynchronous(sides: Sides, member: Callable[..., Any]) -> bool:
    return fits(sides[True], member) if sides[True].is_class else is_async(member)


def _wrong_colour(name: str, found: Callable[..., Any], kind: ConnectorKind) -> tuple[str, str]:
    """Return message and hint."""
    given = f"{name} is {format_value(found)}"
    if REGISTRY[kind].asynchronous:
        return (
            f"{given}, which is synchronous, and the {kind} connector is asynchronous",
            f"write `async def`, or give a pair: {name}=(async_function, plain_function)",
        )
    return (
        f"{given}, which is asynchronous, and the {kind} connector is synchronous",
        f"write a plain `def`, or give a pair: {name}=(async_function, plain_function)",
    )
