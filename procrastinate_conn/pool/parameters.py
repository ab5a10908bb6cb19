"""The pool options that there are: psycopg_pool's, read from the signatures of its pools, and our own."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from procrastinate_conn.imports import is_async
from procrastinate_conn.registry import REGISTRY, ConnectorKind

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool


@dataclass(frozen=True)
class Parameter:
    """A parameter of a pool's constructor, with its evaluated annotation."""

    name: str
    annotation: Any
    default: Any

    @cached_property
    def members(self) -> tuple[Any, ...]:
        """The types that a value may have: the members of a union, or the one type."""
        if typing.get_origin(self.annotation) in (typing.Union, types.UnionType):
            return typing.get_args(self.annotation)
        return (self.annotation,)

    @property
    def nullable(self) -> bool:
        """Whether None is a value."""
        return type(None) in self.members

    @property
    def is_class(self) -> bool:
        """Whether the value is a class, a subclass of the default."""
        return any(typing.get_origin(member) is type for member in self.members)

    @property
    def is_callable(self) -> bool:
        """Whether the value is a callback or a class, which text names as ``package.module:attribute``."""
        return self.is_class or bool(self._awaited)

    @cached_property
    def _awaited(self) -> frozenset[bool]:
        """Whether the pool awaits the callback; both if it does so when necessary; empty if there is none."""
        results = [typing.get_args(t)[-1] for t in self.members if typing.get_origin(t) is Callable]
        return frozenset(typing.get_origin(result) is Awaitable for result in results)

    def accepts(self, candidate: object) -> bool:
        """Return whether the pool can use a callback or a class.

        A callback has to be `async` if the pool awaits it and must not be if the pool only calls it; a
        connection class has to be a subclass of the pool's own.
        """
        if self.is_class:
            return isinstance(candidate, type) and issubclass(candidate, self.default)
        return callable(candidate) and is_async(candidate) in self._awaited

    def choose(self, value: object) -> Callable[..., Any] | None:
        """Return the callable that the pool can use, of one or of a pair; None if there is none."""
        candidates = value if isinstance(value, tuple) else (value,)
        return next(filter(self.accepts, candidates), None)


OWN = {
    "check_after": Parameter("check_after", float, 60.0),
    "response_timeout": Parameter("response_timeout", float, 20.0),
    "prepare_threshold": Parameter("prepare_threshold", int | None, 5),  # as psycopg's connections have it
}
"""The options that are not psycopg_pool's: the connectors implement them."""

INTRODUCED = {"close_returns": "3.3"}
"""The options that are newer than psycopg_pool 3.2, the oldest supported, with the version of each."""

RESERVED = {
    "conninfo": (
        "the connector makes it from the connection settings",
        "write it as dsn, or its keywords in connection",
    ),
    "kwargs": (
        "the connector makes them from the connection settings",
        "write connection.<keyword> for each of libpq's keywords",
    ),
    "open": ("procrastinate opens the pool when the application opens", "use app.open() or app.open_async()"),
}
"""The parameters that the connector passes itself: why, and what to do instead."""


def pool_class(*, asynchronous: bool, null: bool) -> type[ConnectionPool[Any] | AsyncConnectionPool[Any]]:
    """Return the class of psycopg_pool."""
    import psycopg_pool  # not above: it loads libpq, and names and kinds can be listed without

    if asynchronous:
        return psycopg_pool.AsyncNullConnectionPool if null else psycopg_pool.AsyncConnectionPool
    return psycopg_pool.NullConnectionPool if null else psycopg_pool.ConnectionPool


@cache
def parameters(*, asynchronous: bool = True, null: bool = False) -> Mapping[str, Parameter]:
    """Return every parameter of a pool's constructor, by name, in the order of the signature."""
    signature = inspect.signature(pool_class(asynchronous=asynchronous, null=null), eval_str=True)
    return types.MappingProxyType(
        {p.name: Parameter(p.name, p.annotation, p.default) for p in signature.parameters.values()}
    )


def known_options(kind: ConnectorKind, *, null: bool = False) -> Mapping[str, Parameter]:
    """Return the options that the installed psycopg_pool takes, and ours, if the registry names them.

    Those that are not possible for the kind are among them.
    """
    theirs = parameters(asynchronous=REGISTRY[kind].asynchronous, null=null)
    return {name: theirs[name] for name in theirs if name in REGISTRY[kind].pool_options} | OWN
