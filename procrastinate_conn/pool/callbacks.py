"""Callbacks and connection classes: given as objects or by name, alone or as a sync and async pair."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from procrastinate_conn.imports import ObjectNotFound, import_object, is_async
from procrastinate_conn.pool.conversion import InvalidOption, is_none
from procrastinate_conn.pool.parameters import Parameter, parameters
from procrastinate_conn.problems import Example, Rule
from procrastinate_conn.redaction import format_value
from procrastinate_conn.registry import REGISTRY, ConnectorKind

_CONFIGURE = "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure"

CALLBACK_NOT_FOUND = Rule(
    "PC307",
    "pool callback that cannot be imported",
    "Without it the connections are not set up as configured.",
    "Write package.module:function, importable where the application runs.",
    example=Example(_CONFIGURE, given="there is no module database"),
)

SYNC_ASYNC_MISMATCH = Rule(
    "PC308",
    "sync pool callback on an async connector, or the reverse",
    "An asynchronous pool awaits its callbacks and a synchronous one calls them: with the wrong one the pool"
    " never fills, or the callback silently never runs.",
    "Write `async def` for an asynchronous kind, `def` for a synchronous one, or give both as a pair.",
    example=Example(_CONFIGURE, files={"database.py": "def configure(connection): ...\n"}),
    needs_kind=True,
)

UNUSABLE_CALLBACK = Rule(
    "PC309",
    "pool callback that cannot be called",
    "The call fails on every new connection, and the pool never fills.",
    "Give a function that takes the one argument that psycopg_pool passes; for connection_class a subclass"
    " of the driver's connection.",
    example=Example(_CONFIGURE, files={"database.py": "async def configure(): ...\n"}),
)

NO_SYNC_CALLBACK = Rule(
    "PC313",
    "async pool callback without a sync one",
    "An asynchronous connector that is used synchronously before it is opened makes a synchronous pool, which"
    " cannot await, and leaves the callback out.",
    "Give a pair, the asynchronous one first.",
    severity="warning",
    example=Example(_CONFIGURE, files={"database.py": "async def configure(connection): ...\n"}),
    needs_kind=True,
)


class SyncAsyncPair(NamedTuple):
    """An option as psycopg_pool's asynchronous and its synchronous pool declare it."""

    asynchronous: Parameter
    synchronous: Parameter

    def is_async(self, candidate: Callable[..., Any]) -> bool:
        """Return whether a callback or a class is for the asynchronous pool."""
        return self.asynchronous.accepts(candidate) if self.asynchronous.is_class else is_async(candidate)


def convert_callback(name: str, value: object, kind: ConnectorKind, *, null: bool) -> object:
    """Return the value of a callback option: None, one callable, or a pair with the asynchronous one first.

    It is given as a callable or as ``package.module:function``; or as two of them, in either order, in a
    tuple, a list, or text with a comma between. `InvalidOption` is raised if one cannot be imported or
    called, or if none is sync or async as the kind needs it.
    """
    pair = SyncAsyncPair(*(parameters(asynchronous=a, null=null)[name] for a in (True, False)))
    if pair.asynchronous.nullable and is_none(value):
        return None
    members = value.split(",") if isinstance(value, str) else value
    members = members if isinstance(members, tuple | list) else [members]
    if len(members) not in (1, 2):
        raise InvalidOption(
            UNUSABLE_CALLBACK,
            f"{name} gives {len(members)} callables, which is neither one nor a pair",
            f"write {name}=(async_function, plain_function)",
        )
    found = [_load(name, member, pair) for member in members]
    _require_sync_or_async(name, found, pair, kind)
    return found[0] if len(found) == 1 else tuple(sorted(found, key=pair.is_async, reverse=True))


def _load(name: str, member: object, pair: SyncAsyncPair) -> Callable[..., Any]:
    """Return a callable that one of the pools can call, or a class that it can use."""
    path = member.strip() if isinstance(member, str) else None
    try:
        found = member if path is None else import_object(path)
    except ObjectNotFound as error:
        raise InvalidOption(CALLBACK_NOT_FOUND, f"{name} {error.message}", error.hint) from None
    if not callable(found):
        reason = f"{path or f'a {type(found).__name__}'}, which is not callable"
        hint = "give a function, or package.module:function"
    elif pair.asynchronous.is_class and not any(parameter.accepts(found) for parameter in pair):
        classes = " or ".join(format_value(parameter.default) for parameter in pair)
        reason = f"{format_value(found)}, which is not a subclass of {classes}"
        hint = "derive it from psycopg's class"
    elif not pair.asynchronous.is_class and not _takes_one_argument(found):
        reason = f"{format_value(found)}, which cannot be called with one argument"
        hint = "psycopg_pool calls it with the connection, and reconnect_failed with the pool"
    else:
        return found
    raise InvalidOption(UNUSABLE_CALLBACK, f"{name} is {reason}", hint)


def _takes_one_argument(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function in C without a signature
        return True
    return True


def _require_sync_or_async(
    name: str, found: Sequence[Callable[..., Any]], pair: SyncAsyncPair, kind: ConnectorKind
) -> None:
    """Require one of each for a pair, and one that the kind's pool can use."""
    words = ("synchronous", "asynchronous")
    gives_async, needs_async = pair.is_async(found[0]), REGISTRY[kind].asynchronous
    if len(found) == 2 and gives_async == pair.is_async(found[1]):
        message = f"{name} gives two that are {words[gives_async]}"
        hint = "a pair is one for asynchronous use and one for synchronous use"
        raise InvalidOption(SYNC_ASYNC_MISMATCH, message, hint)
    parameter = pair.asynchronous if needs_async else pair.synchronous
    if not any(map(parameter.accepts, found)):
        raise InvalidOption(
            SYNC_ASYNC_MISMATCH,
            f"{name} is {format_value(found[0])}, which is {words[gives_async]},"
            f" and the {kind} connector is {words[needs_async]}",
            f"write {'`async def`' if needs_async else 'a plain `def`'},"
            f" or give a pair: {name}=(async_function, plain_function)",
        )
