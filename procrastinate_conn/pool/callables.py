"""Callbacks and classes: how they are found by name, and which colour they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from procrastinate_conn.imports import ObjectNotFound, import_object, is_async
from procrastinate_conn.pool.introspection import Parameter
from procrastinate_conn.pool.refused import InvalidOption
from procrastinate_conn.rules import Example, Rule

CALLBACK_NOT_FOUND = Rule(
    "PC307",
    "pool callback that cannot be imported",
    "Without it the connections are not set up as the settings say.",
    "Write package.module:function, importable where the application runs.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure", given="there is no module database"
    ),
)

UNUSABLE_CALLBACK = Rule(
    "PC309",
    "pool callback that cannot be called",
    "The call fails on every new connection, and the pool never fills.",
    "Give a function that takes the one argument that psycopg_pool passes; for connection_class a subclass"
    " of the driver's connection.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure",
        files={"database.py": "async def configure(): ...\n"},
    ),
)


def candidates(name: str, value: object) -> tuple[Callable[..., Any], ...]:
    """Return the function, or the pair of them, that `value` gives.

    Parameters
    ----------
    name
        The option.
    value
        A callable, ``package.module:function``, two of them in text with a comma between, or two in
        a tuple or list.

    Raises
    ------
    InvalidOption
        There are more than two, one cannot be imported, or one is not callable.
    """
    members = (
        value.split(",") if isinstance(value, str) else value if isinstance(value, tuple | list) else [value]
    )
    if len(members) not in (1, 2):
        raise InvalidOption(
            UNUSABLE_CALLBACK,
            f"{name} gives {len(members)} callables, which is neither one nor a pair",
            f"write {name}=(async_function, plain_function)",
        )
    return tuple(_one(name, member) for member in members)


def _one(name: str, member: object) -> Callable[..., Any]:
    try:
        found = import_object(member.strip()) if isinstance(member, str) else member
    except ObjectNotFound as error:
        raise InvalidOption(CALLBACK_NOT_FOUND, f"{name} {error.message}", error.hint) from None
    if not callable(found):
        what = f"{member.strip()}, which" if isinstance(member, str) else f"a {type(found).__name__}, which"
        raise InvalidOption(
            UNUSABLE_CALLBACK,
            f"{name} is {what} is not callable",
            "give a function, or package.module:function",
        )
    return found


def fits(parameter: Parameter, candidate: object) -> bool:
    """Return whether `candidate` has the colour that a pool's parameter asks for.

    A function has to be `async` where the pool awaits it and plain where the pool calls it; a
    connection class has to be a subclass of the pool's own.
    """
    if parameter.is_class:
        return (
            isinstance(candidate, type)
            and isinstance(parameter.default, type)
            and issubclass(candidate, parameter.default)
        )
    return callable(candidate) and is_async(candidate) in parameter.awaited


def pick(parameter: Parameter, stated: object) -> Any:
    """Return the member of `stated`, a callable or several, that fits the parameter; None if none does."""
    members: Sequence[object] = stated if isinstance(stated, tuple) else (stated,)
    return next((member for member in members if fits(parameter, member)), None)


def takes_one_argument(function: Callable[..., Any]) -> bool:
    """Return whether `function` can be called with the one argument that psycopg_pool passes."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function in C that does not tell its signature
        return True
    return True
