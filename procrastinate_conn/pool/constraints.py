"""The constraints between options, in the order in which they are validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from procrastinate_conn.origins import Origin
from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import format_value

CONFLICTING_OPTIONS = Rule(
    "PC304",
    "pool options that exclude each other",
    "Each value is valid by itself; together the pool rejects them when the application opens.",
    "Change one of the two.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SIZE=8\nPROCRASTINATE_CONN_POOL__MAX_SIZE=4"),
)

OPTION_WITHOUT_EFFECT = Rule(
    "PC314",
    "pool option without effect",
    "The option is accepted and changes nothing, which is rarely intended.",
    "Remove it, or change the option that it depends on.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=4\nPROCRASTINATE_CONN_POOL__NUM_WORKERS=8"),
    fault_in="name",
)

CONFLICTING_TIMEOUTS = Rule(
    "PC315",
    "conflicting pool timeouts",
    "One of the two always expires first, so that the other never has its intended effect.",
    "Make the time that should expire first the shorter one.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_POOL__MAX_SIZE=8\nPROCRASTINATE_CONN_POOL__MAX_IDLE=2h\nPROCRASTINATE_CONN_POOL__MAX_LIFETIME=1h"
    ),
)

LARGE_POOL = Rule(
    "PC316",
    "pool larger than a server's default",
    "By default PostgreSQL accepts 100 connections of all its clients together; further ones fail with"
    " `too many clients already`.",
    "Make the pool smaller, or make sure that the server's max_connections allows it.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=200"),
)

DEFAULT_CONNECTIONS = 97
"""The connections that a PostgreSQL server accepts by default of users that are not superusers."""

_SET_MAX_SIZE = 'set max_size to 1 or more; for connections that are not kept write pool="null"'


class Violation(NamedTuple):
    """A constraint that does not hold, with the option to report."""

    rule: Rule
    option: str
    message: str
    hint: str


Origins = Mapping[str, Origin]
"""Where the options are set that are; the others are at the pool's defaults."""

Constraint = Callable[[PoolOptions, Origins], Violation | None]


def validate_constraints(pool: PoolOptions, origins: Origins, invalid: AbstractSet[str]) -> Iterator[Problem]:
    """Validate the options, each valid by itself, against each other.

    A constraint that reads one of the options in `invalid` is skipped, and so is one that reads an option of
    a constraint that failed: one mistake is reported once.
    """
    invalid = set(invalid)
    for options, depends_on, constraint in _CONSTRAINTS:
        if origins.keys().isdisjoint(options) or not invalid.isdisjoint(options + depends_on):
            continue
        if violation := constraint(pool, origins):
            rule, option, message, hint = violation
            yield rule(f"pool.{option}", message, hint=hint, origin=origins.get(option))
            if rule.severity == "error":
                invalid.update(options)


def _describe(option: str, pool: PoolOptions, origins: Origins, *, beside: str, unit: str = "") -> str:
    """Return an option's value for a message about another; its origin too, if it differs."""
    value, origin = pool.effective(option), origins.get(option)
    if origin is None:
        return "not set" if value is None else f"{format_value(value)}{unit} by default"
    is_same_place = str(origin) == str(origins.get(beside))
    return f"{format_value(value)}{unit}" + ("" if is_same_place else f" ({origin})")


def _min_size_of_null_pool(pool: PoolOptions, _origins: Origins) -> Violation | None:
    if not pool.null or pool.min_size == 0:
        return None
    message = f"min_size is {pool.min_size}, and a null pool keeps no connections"
    return Violation(CONFLICTING_OPTIONS, "min_size", message, 'remove min_size, or pool="null"')


def _pool_without_connections(pool: PoolOptions, origins: Origins) -> Violation | None:
    if pool.null or pool.min_size or pool.max_size:
        return None
    max_size = _describe("max_size", pool, origins, beside="min_size")
    message = f"min_size is 0 and max_size is {max_size}: such a pool can have no connection"
    return Violation(CONFLICTING_OPTIONS, "min_size", message, _SET_MAX_SIZE)


def _min_size_above_max_size(pool: PoolOptions, origins: Origins) -> Violation | None:
    if pool.null or pool.min_size <= pool.max_size:
        return None
    min_size = _describe("min_size", pool, origins, beside="max_size")
    message = f"max_size is {pool.max_size}, less than min_size, which is {min_size}"
    if pool.max_size == 0:  # a min_size of 0 beside it would be rejected as well
        hint = _SET_MAX_SIZE
    elif "min_size" in origins:
        hint = "make min_size the smaller one"
    else:
        hint = f"set min_size={pool.max_size} or less as well"
    return Violation(CONFLICTING_OPTIONS, "max_size", message, hint)


def _max_size_above_server_default(pool: PoolOptions, origins: Origins) -> Violation | None:
    if pool.max_size <= DEFAULT_CONNECTIONS:
        return None
    return Violation(
        LARGE_POOL,
        "max_size" if "max_size" in origins else "min_size",
        f"the pool may open {pool.max_size} connections, and PostgreSQL has {DEFAULT_CONNECTIONS} by default,"
        " for all its clients together",
        "a pool of a few connections for each processor of the server is faster",
    )


def _more_workers_than_connections(pool: PoolOptions, _origins: Origins) -> Violation | None:
    workers, connections = pool.effective("num_workers"), pool.max_size
    if connections == 0 or workers <= connections:
        return None
    message = f"num_workers is {workers}, more than the {connections} connections there can be"
    return Violation(
        OPTION_WITHOUT_EFFECT, "num_workers", message, f"num_workers={connections} does the same"
    )


def _max_waiting_of_unlimited_pool(pool: PoolOptions, _origins: Origins) -> Violation | None:
    max_waiting = pool.effective("max_waiting")
    if not pool.null or pool.max_size or not max_waiting:
        return None
    message = f"max_waiting is {max_waiting}, and no caller waits for a null pool without max_size"
    return Violation(OPTION_WITHOUT_EFFECT, "max_waiting", message, "set max_size, or remove max_waiting")


def _max_idle_without_effect(pool: PoolOptions, origins: Origins) -> Violation | None:
    if pool.null:
        return None
    max_idle = pool.effective("max_idle")
    if max_idle >= pool.effective("max_lifetime"):
        lifetime = _describe("max_lifetime", pool, origins, beside="max_idle", unit=" s")
        return Violation(
            CONFLICTING_TIMEOUTS,
            "max_idle",
            f"max_idle is {format_value(max_idle)} s and max_lifetime is {lifetime}: every connection is"
            " retired for its age before it counts as idle",
            "make max_idle the shorter one",
        )
    if pool.max_size > pool.min_size:
        return None
    message = f"max_idle retires connections beyond min_size, and this pool always has {pool.min_size}"
    hint = "set max_size greater than min_size, or remove max_idle"
    return Violation(OPTION_WITHOUT_EFFECT, "max_idle", message, hint)


def _reconnect_timeout_below_timeout(pool: PoolOptions, origins: Origins) -> Violation | None:
    if pool.null or pool.effective("reconnect_timeout") >= pool.timeout:
        return None
    option = "reconnect_timeout" if "reconnect_timeout" in origins else "timeout"
    reconnect_timeout, timeout = (
        _describe(name, pool, origins, beside=option, unit=" s") for name in ("reconnect_timeout", "timeout")
    )
    return Violation(
        CONFLICTING_TIMEOUTS,
        option,
        f"reconnect_timeout is {reconnect_timeout} and timeout is {timeout}: the pool gives up, calls"
        " reconnect_failed and starts again while callers still wait",
        "make reconnect_timeout at least as long as timeout",
    )


def _without_effect_on_null_pools(option: str, reason: str) -> Constraint:
    def find(pool: PoolOptions, _origins: Origins) -> Violation | None:
        if not pool.null or not pool.effective(option):
            return None
        message = f"{option} has no effect on a null pool: {reason}"
        return Violation(OPTION_WITHOUT_EFFECT, option, message, f"remove {option}")

    return find


_WITHOUT_EFFECT_ON_NULL_POOLS = {
    "max_idle": "no connection stays idle in it",
    "close_returns": "there is nothing to return a connection to",
    "reconnect_timeout": "it connects for a caller, for as long as the caller waits",
    "reconnect_failed": "it connects for a caller, who gets the error",
}

_SIZES = ("min_size", "max_size")

_CONSTRAINTS: tuple[tuple[tuple[str, ...], tuple[str, ...], Constraint], ...] = (
    (("min_size",), (), _min_size_of_null_pool),
    (_SIZES, (), _pool_without_connections),
    (_SIZES, (), _min_size_above_max_size),
    (_SIZES, (), _max_size_above_server_default),
    (("num_workers",), _SIZES, _more_workers_than_connections),
    (("max_waiting",), _SIZES, _max_waiting_of_unlimited_pool),
    (("max_idle",), (*_SIZES, "max_lifetime"), _max_idle_without_effect),
    (("timeout", "reconnect_timeout"), (), _reconnect_timeout_below_timeout),
    *(
        ((option,), (), _without_effect_on_null_pools(option, reason))
        for option, reason in _WITHOUT_EFFECT_ON_NULL_POOLS.items()
    ),
)
"""Each constraint after the options of which one has to be set, and those that it reads besides."""
