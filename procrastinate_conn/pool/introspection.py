"""The options that the installed psycopg_pool takes, read from the signatures of its pools."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

INTRODUCED = {"close_returns": "3.3"}
"""The options that came after psycopg_pool 3.2, the oldest that is taken, and the version of each."""


@dataclass(frozen=True)
class Parameter:
    """One option as a pool's constructor declares it.

    Parameters
    ----------
    name
        The option's name.
    annotation
        Its evaluated type.
    default
        What the pool takes where the option is not stated.
    """

    name: str
    annotation: Any
    default: object

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
    def is_callback(self) -> bool:
        """Whether the value is a function that the pool calls."""
        return bool(self.callables)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping, which text gives as JSON."""
        return any(typing.get_origin(member) in (dict, Mapping) for member in self.members)

    @cached_property
    def callables(self) -> tuple[Any, ...]:
        """The function types among the members."""
        return tuple(member for member in self.members if typing.get_origin(member) is Callable)

    @property
    def awaited(self) -> frozenset[bool]:
        """The colours that a callback may have: True for `async`, False for plain."""
        results = (typing.get_args(member)[-1] for member in self.callables)
        return frozenset(typing.get_origin(result) is Awaitable for result in results)


def pool_class(*, asynchronous: bool, null: bool) -> type[ConnectionPool[Any] | AsyncConnectionPool[Any]]:
    """Return psycopg_pool's class for a colour, null or not."""
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


def installed_version() -> str:
    """Return the version of the installed psycopg_pool."""
    import psycopg_pool

    return psycopg_pool.__version__
