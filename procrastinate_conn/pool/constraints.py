"""The constraints between options, each of which is valid by itself."""

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

_TIMES = ("max_idle", "max_lifetime", "reconnect_timeout", "timeout")


class Constraint(NamedTuple):
    """A constraint that some options violate together.

    In the message and the hint, ``{option}`` stands for the option's value, and `pool` for the `PoolOptions`.
    """

    rule: Rule
    options: tuple[str, ...]  # one of them has to be set; the first that is set is reported
    is_violated: Callable[[PoolOptions], bool]
    message: str
    hint: str
    reads: tuple[str, ...] = ()  # the options that it depends on besides


def validate_constraints(
    pool: PoolOptions, origins: Mapping[str, Origin], invalid: AbstractSet[str]
) -> Iterator[Problem]:
    """Validate the options against each other; `origins` has those that are set.

    A constraint that reads one of the options in `invalid` is skipped, and so is one that reads an option of
    a constraint that failed: one mistake is reported once.
    """
    invalid = set(invalid)
    for rule, options, is_violated, message, hint, reads in _CONSTRAINTS:
        option = next((option for option in options if option in origins), None)
        if option is None or not invalid.isdisjoint(options + reads) or not is_violated(pool):
            continue
        values = {name: _describe(name, pool, origins, beside=option) for name in options + reads}
        yield rule(
            f"pool.{option}",
            message.format(pool=pool, **values),
            hint=hint.format(pool=pool, **values),
            origin=origins[option],
        )
        if rule.severity == "error":
            invalid.update(options)


def _describe(option: str, pool: PoolOptions, origins: Mapping[str, Origin], *, beside: str) -> str:
    """Return an option's value for a message about another; its origin too, if it differs."""
    value, origin = pool.effective(option), origins.get(option)
    if value is None:
        return "not set"
    text = format_value(value) + (" s" if option in _TIMES else "")
    if origin is None:
        return f"{text} by default"
    return text if str(origin) == str(origins[beside]) else f"{text} ({origin})"


def _without_effect_on_null_pools(option: str, reason: str) -> Constraint:
    return Constraint(
        OPTION_WITHOUT_EFFECT,
        (option,),
        lambda pool: pool.null and bool(pool.effective(option)),
        f"{option} has no effect on a null pool: {reason}",
        f"remove {option}",
    )


_CONSTRAINTS = (
    Constraint(
        CONFLICTING_OPTIONS,
        ("min_size",),
        lambda pool: pool.null and pool.min_size > 0,
        "min_size is {min_size}, and a null pool keeps no connections",
        "remove min_size, or pool=null",
    ),
    Constraint(
        CONFLICTING_OPTIONS,
        ("min_size", "max_size"),
        lambda pool: not pool.null and pool.max_size == 0,
        "min_size is {min_size} and max_size is {max_size}: such a pool can have no connection",
        "set max_size to 1 or more; for connections that are not kept write pool=null",
    ),
    Constraint(
        CONFLICTING_OPTIONS,
        ("max_size", "min_size"),
        lambda pool: not pool.null and pool.max_size < pool.min_size,
        "max_size is {max_size}, less than min_size, which is {min_size}",
        "set min_size={max_size} or less",
    ),
    Constraint(
        LARGE_POOL,
        ("max_size", "min_size"),
        lambda pool: pool.max_size > DEFAULT_CONNECTIONS,
        f"the pool may open {{pool.max_size}} connections, and PostgreSQL has {DEFAULT_CONNECTIONS} by"
        " default, for all its clients together",
        "a pool of a few connections for each processor of the server is faster",
    ),
    Constraint(
        OPTION_WITHOUT_EFFECT,
        ("num_workers",),
        lambda pool: 0 < pool.max_size < pool.effective("num_workers"),
        "num_workers is {num_workers}, more than the {pool.max_size} connections there can be",
        "num_workers={pool.max_size} does the same",
        reads=("min_size", "max_size"),
    ),
    Constraint(
        OPTION_WITHOUT_EFFECT,
        ("max_waiting",),
        lambda pool: pool.null and not pool.max_size and bool(pool.effective("max_waiting")),
        "max_waiting is {max_waiting}, and no caller waits for a null pool without max_size",
        "set max_size, or remove max_waiting",
        reads=("min_size", "max_size"),
    ),
    Constraint(
        CONFLICTING_TIMEOUTS,
        ("max_idle",),
        lambda pool: not pool.null and pool.effective("max_idle") >= pool.effective("max_lifetime"),
        "max_idle is {max_idle} and max_lifetime is {max_lifetime}: every connection is retired for its age"
        " before it counts as idle",
        "make max_idle the shorter one",
        reads=("max_lifetime",),
    ),
    Constraint(
        OPTION_WITHOUT_EFFECT,
        ("max_idle",),
        lambda pool: (
            not pool.null
            and pool.max_size <= pool.min_size
            and pool.effective("max_idle") < pool.effective("max_lifetime")
        ),
        "max_idle retires connections beyond min_size, and this pool always has {pool.min_size}",
        "set max_size greater than min_size, or remove max_idle",
        reads=("min_size", "max_size", "max_lifetime"),
    ),
    Constraint(
        CONFLICTING_TIMEOUTS,
        ("reconnect_timeout", "timeout"),
        lambda pool: not pool.null and pool.effective("reconnect_timeout") < pool.timeout,
        "reconnect_timeout is {reconnect_timeout} and timeout is {timeout}: the pool gives up, calls"
        " reconnect_failed and starts again while callers still wait",
        "make reconnect_timeout at least as long as timeout; write {pool.timeout:.0f}ms if that was meant",
    ),
    _without_effect_on_null_pools("max_idle", "no connection stays idle in it"),
    _without_effect_on_null_pools("close_returns", "there is nothing to return a connection to"),
    _without_effect_on_null_pools(
        "reconnect_timeout", "it connects for a caller, for as long as the caller waits"
    ),
    _without_effect_on_null_pools("reconnect_failed", "it connects for a caller, who gets the error"),
)
"""The constraints, in the order in which they are validated."""
