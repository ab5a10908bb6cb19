"""Several contenders in turns: rounds in which each has one, medians, and ratios for each round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.contenders import BY_HAND, LIMIT, ON_PSYCOPG, OURS, RAW
from benchmarks.work import Opened

BETTER_IF_LESS = "ms"

WARM_UP = 8
"""Minimum number of times to warm up each connection: psycopg prepares a query after it has run five times on
a connection, which takes an additional round trip."""


@dataclass(slots=True)
class Outcome:
    """The results of one measure.

    Parameters
    ----------
    measure, kind
        The name of the measure, and the kind of connector.
    delay_ms
        Milliseconds added to each round trip; None for a measure without a server.
    unit
        The samples' unit: ``ms``, ``jobs/s`` or ``queries/s``.
    samples
        A sample of each round, for each contender.
    cpu_us
        The same of the CPU time of a call, in microseconds; empty if it was not measured.
    round_trips
        The round trips of one job, or of one call, for each contender; empty if they were not counted.
    """

    measure: str
    kind: str
    delay_ms: float | None
    unit: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)
    round_trips: dict[str, float] = field(default_factory=dict)

    def median(self, contender: str) -> float | None:
        """Return the median of a contender's samples, or None if it has none."""
        return median(self.samples[contender]) if contender in self.samples else None

    def ratio(self, contender: str) -> float | None:
        """Return how many times better ours is than a contender, or None if it has no samples.

        It is the median of the rounds' ratios, since a round's samples are taken at about the same time.
        """
        if contender not in self.samples:
            return None
        if self.unit == BETTER_IF_LESS:
            return _median_ratio(self.samples, contender, OURS)
        return _median_ratio(self.samples, OURS, contender)

    def cpu_ratio(self, contender: str) -> float | None:
        """Return our CPU time as a multiple of a contender's, or None if it was not measured.

        The raw driver is the limit if the kind's driver is psycopg.
        """
        if contender == RAW and RAW not in self.cpu_us:
            contender = LIMIT
        return _median_ratio(self.cpu_us, OURS, contender) if contender in self.cpu_us else None

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> Outcome:
        """Return the outcome of a summary."""
        fields = ("measure", "kind", "delay_ms", "unit", "samples", "round_trips")
        return cls(**{name: summary[name] for name in fields}, cpu_us=summary.get("cpu_us_samples", {}))

    def summary(self) -> dict[str, object]:
        """Return the outcome for JSON."""
        return {
            "measure": self.measure,
            "kind": self.kind,
            "delay_ms": self.delay_ms,
            "unit": self.unit,
            "median": {contender: round(median(numbers), 4) for contender, numbers in self.samples.items()},
            "ours_to": {
                name: round(ratio, 3) for name in (BY_HAND, ON_PSYCOPG, LIMIT) if (ratio := self.ratio(name))
            },
            "cpu_us": {contender: round(median(numbers), 1) for contender, numbers in self.cpu_us.items()},
            "cpu_ours_to": {
                name: round(ratio, 3)
                for name in (BY_HAND, ON_PSYCOPG, RAW)
                if (ratio := self.cpu_ratio(name))
            },
            "round_trips": {contender: round(number, 2) for contender, number in self.round_trips.items()},
            "samples": {
                contender: [round(number, 4) for number in numbers]
                for contender, numbers in self.samples.items()
            },
            "cpu_us_samples": {
                contender: [round(number, 1) for number in numbers]
                for contender, numbers in self.cpu_us.items()
            },
        }


def _median_ratio(samples: Mapping[str, list[float]], numerator: str, denominator: str) -> float:
    pairs = zip(samples[numerator], samples[denominator], strict=True)
    return median(above / below for above, below in pairs)


def compare(
    outcome: Outcome,
    contenders: Mapping[str, Opened],
    *,
    rounds: int,
    times: int,
    warm_up: int,
    jobs_each: int,
    before: Callable[[int], object],
    after: Callable[[int], object],
    round_trips: Callable[[], int] | None,
) -> Outcome:
    """Measure the contenders in turns, and add their samples to the outcome.

    Parameters
    ----------
    outcome
        The outcome to add the samples to.
    contenders
        The work of each contender, which stays open for all rounds.
    rounds
        The number of turns of each contender; every other round has the reverse order.
    times
        The number of times that the work is done in one turn.
    warm_up
        The same of the turn that warms up, at least.
    jobs_each
        The number of jobs of one time; 0 for a query that defers none.
    before, after
        Called before and after each turn with the number of its jobs, to defer and to check them.
    round_trips
        Returns the number of round trips so far; None if they are not counted.
    """
    with ExitStack() as stack:
        works = {name: stack.enter_context(opened) for name, opened in contenders.items()}
        turns = list(works)
        for number in range(-1, rounds):  # the first one warms up
            turn = times if number >= 0 else max(times, warm_up)
            counts: dict[str, float] = {}
            for name in turns if number % 2 else reversed(turns):
                before(turn * jobs_each)
                counted = round_trips() if round_trips else 0
                time = works[name](turn)
                counts[name] = ((round_trips() if round_trips else 0) - counted) / turn
                after(turn * jobs_each)
                if number >= 0:
                    per_second = turn * (jobs_each or 1) / time.seconds
                    sample = 1000 * time.seconds / turn if outcome.unit == BETTER_IF_LESS else per_second
                    outcome.samples.setdefault(name, []).append(sample)
                    if time.cpu is not None:
                        outcome.cpu_us.setdefault(name, []).append(1e6 * time.cpu / turn)
            if round_trips:
                outcome.round_trips = counts
    return outcome
