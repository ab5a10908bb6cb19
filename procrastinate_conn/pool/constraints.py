"""The rules between options, in the order in which they are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import format_value
from procrastinate_conn.rules import Example, Rule

CONFLICTING_OPTIONS = Rule(
    "PC304",
    "pool options that exclude each other",
    "Each value is right by itself; together the pool refuses them when the application opens.",
    "Change one of the two.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SIZE=8\nPROCRASTINATE_CONN_POOL__MAX_SIZE=4"),
)

OPTION_WITHOUT_EFFECT = Rule(
    "PC314",
    "pool option without effect",
    "The option is accepted and changes nothing, which is rarely what was meant.",
    "Remove it, or change the option that it depends on.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=4\nPROCRASTINATE_CONN_POOL__NUM_WORKERS=8"),
    fault_in="name",
)

CONFLICTING_TIMEOUTS = Rule(
    "PC315",
    "times that are at odds",
    "One of the two always comes first, so that the other never acts as it was meant to.",
    "Make the time that should act first the shorter one.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_POOL__MAX_SIZE=8\nPROCRASTINATE_CONN_POOL__MAX_IDLE=2h\nPROCRASTINATE_CONN_POOL__MAX_LIFETIME=1h"
    ),
)

LARGE_POOL = Rule(
    "PC316",
    "pool larger than a server's default",
    "PostgreSQL accepts 100 connections where it is not told otherwise, for all its clients together; the"
    " rest is refused with `too many clients already`.",
    "Make the pool smaller, or make sure that the server's max_connections allows it.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=200"),
)


SERVER_DEFAULT = 97
"""Connections that a PostgreSQL server has for others than superusers, where nothing is configured."""


@dataclass(frozen=True, slots=True)
class Together:
    """The options as they will be in force, each converted and right by itself.

    Parameters
    ----------
    values
        Every option, with the pool's default where nothing was stated.
    origins
        Where those that were stated are written.
    null
        Whether the pool is a null pool.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, Origin]
    null: bool

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def states(self, *names: str) -> bool:
        """Return whether one of `names` was stated."""
        return any(name in self.origins for name in names)

    @property
    def max_size(self) -> int:
        """Connections at most; 0 means no limit in a null pool."""
        stated = self["max_size"]
        return int(self["min_size"] if stated is None else stated)

    def told(self, name: str, *, beside: str, unit: str = "") -> str:
        """Return an option's value for a message about `beside`, and where it is written if elsewhere."""
        if name not in self.origins:
            return "not stated" if self[name] is None else f"{format_value(self[name])}{unit} by default"
        here, there = self.origins.get(beside), self.origins[name]
        return f"{format_value(self[name])}{unit}" + ("" if str(here) == str(there) else f" ({there})")

    def problem(self, rule: Rule, name: str, message: str, hint: str) -> Problem:
        """Return the finding about the option `name`."""
        return rule(f"pool.{name}", message, hint=hint, origin=self.origins.get(name))

    def the_stated(self, name: str, other: str) -> str:
        """Return which of two options a finding is about: `name`, unless only `other` was stated."""
        return name if name in self.origins else other


def validate_together(options: Together, unsound: AbstractSet[str]) -> Iterator[Problem]:
    """Judge the options against each other.

    Parameters
    ----------
    options
        The options in force.
    unsound
        The options that are wrong by themselves. A rule that looks at one of them is left out, and
        so it is with those of a rule that was broken: one mistake is told once.
    """
    unsound = set(unsound)
    for about, beside, rule in _IN_ORDER:
        if options.states(*about) and unsound.isdisjoint(about + beside):
            for problem in rule(options):
                yield problem
                if problem.severity == "error":
                    unsound.update(about)


def _null_keeps_nothing(o: Together) -> Iterator[Problem]:
    if o.null and o["min_size"] > 0:
        yield o.problem(
            CONFLICTING_OPTIONS,
            "min_size",
            f"min_size is {o['min_size']}, and a null pool keeps no connections",
            'remove min_size, or pool="null"',
        )


def _empty_pool(o: Together) -> Iterator[Problem]:
    if not o.null and o["min_size"] == 0 and o.max_size == 0:
        yield o.problem(
            CONFLICTING_OPTIONS,
            "min_size",
            f"min_size is 0 and max_size is {o.told('max_size', beside='min_size')}: such a pool has no room"
            " for any connection",
            'state a max_size of 1 or more; for connections that are not kept write pool="null"',
        )


def _least_above_most(o: Together) -> Iterator[Problem]:
    if not o.null and o["min_size"] > o.max_size:
        yield o.problem(
            CONFLICTING_OPTIONS,
            "max_size",
            f"max_size is {o.max_size}, less than min_size, which is {o.told('min_size', beside='max_size')}",
            _smaller(o),
        )


def _smaller(o: Together) -> str:
    """Return the hint for a min_size that is above max_size."""
    if o.max_size == 0:  # a min_size of 0 beside it would be refused as well
        return 'state a max_size of 1 or more; for connections that are not kept write pool="null"'
    return (
        "make min_size the smaller one"
        if o.states("min_size")
        else f"state min_size={o.max_size} or less as well"
    )


def _large(o: Together) -> Iterator[Problem]:
    if o.max_size > SERVER_DEFAULT:
        about = o.the_stated("max_size", "min_size")
        yield o.problem(
            LARGE_POOL,
            about,
            f"the pool may open {o.max_size} connections, and PostgreSQL has {SERVER_DEFAULT} by default,"
            " for all its clients together",
            "a pool of a few connections for each processor of the server is the faster one",
        )


def _workers_without_work(o: Together) -> Iterator[Problem]:
    if o.max_size and o["num_workers"] > o.max_size:
        yield o.problem(
            OPTION_WITHOUT_EFFECT,
            "num_workers",
            f"num_workers is {o['num_workers']}, more than the {o.max_size} connections there can be",
            f"num_workers={o.max_size} does the same",
        )


def _nobody_waits(o: Together) -> Iterator[Problem]:
    if o.null and o.max_size == 0 and o["max_waiting"] > 0:
        yield o.problem(
            OPTION_WITHOUT_EFFECT,
            "max_waiting",
            f"max_waiting is {o['max_waiting']}, and nobody waits for a null pool without max_size",
            "state max_size, or remove max_waiting",
        )


def _idle_never_counts(o: Together) -> Iterator[Problem]:
    if o.null:
        return
    if o["max_idle"] >= o["max_lifetime"]:
        lifetime = o.told("max_lifetime", beside="max_idle", unit=" s")
        yield o.problem(
            CONFLICTING_TIMEOUTS,
            "max_idle",
            f"max_idle is {format_value(o['max_idle'])} s and max_lifetime is {lifetime}: every connection is"
            " retired for its age before it counts as idle",
            "make max_idle the shorter one",
        )
    elif o.max_size == o["min_size"]:
        yield o.problem(
            OPTION_WITHOUT_EFFECT,
            "max_idle",
            f"max_idle retires connections beyond min_size, and this pool always has {o['min_size']}",
            "state a max_size greater than min_size, or remove max_idle",
        )


def _pool_gives_up_first(o: Together) -> Iterator[Problem]:
    if not o.null and o["reconnect_timeout"] < o["timeout"]:
        about = o.the_stated("reconnect_timeout", "timeout")
        pool, caller = (o.told(name, beside=about, unit=" s") for name in ("reconnect_timeout", "timeout"))
        yield o.problem(
            CONFLICTING_TIMEOUTS,
            about,
            f"reconnect_timeout is {pool} and timeout is {caller}: the pool gives up, calls reconnect_failed"
            " and begins anew while callers still wait",
            "make reconnect_timeout at least as long as timeout",
        )


def _null_ignores(o: Together) -> Iterator[Problem]:
    for name, why in _NULL_IGNORES.items():
        if o.null and o.states(name) and o[name]:
            yield o.problem(
                OPTION_WITHOUT_EFFECT, name, f"{name} has no effect on a null pool: {why}", f"remove {name}"
            )


_NULL_IGNORES = {
    "max_idle": "no connection stays idle in it",
    "close_returns": "there is nothing to return a connection to",
    "reconnect_timeout": "it connects for a caller, and goes on for as long as that one waits",
    "reconnect_failed": "it connects for a caller, who is told why that failed",
}

_SIZES = ("min_size", "max_size")

_IN_ORDER: tuple[tuple[tuple[str, ...], tuple[str, ...], Callable[[Together], Iterator[Problem]]], ...] = (
    (("min_size",), (), _null_keeps_nothing),
    (_SIZES, (), _empty_pool),
    (_SIZES, (), _least_above_most),
    (_SIZES, (), _large),
    (("num_workers",), _SIZES, _workers_without_work),
    (("max_waiting",), _SIZES, _nobody_waits),
    (("max_idle",), (*_SIZES, "max_lifetime"), _idle_never_counts),
    (("timeout", "reconnect_timeout"), (), _pool_gives_up_first),
    (tuple(_NULL_IGNORES), (), _null_ignores),
)
"""Each rule after the options of which one has to be stated, and those that it looks at besides."""
