"""Several contenders side by side: rounds in which each has its turn, medians, and ratios round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from benchmarks.contenders import BY_HAND, LIMIT, OURS
from benchmarks.work import Opened

BETTER_IF_LESS = "ms"

WARM_UP = 8
"""Times at least to warm up: psycopg prepares a query that has run five times on a connection, which takes a
round trip of its own."""


@dataclass(slots=True)
class Outcome:
    """What came out for one measure.

    Parameters
    ----------
    measure, kind
        What was measured, and on which kind of connector.
    delay_ms
        Milliseconds added to each round trip; None where no server takes part.
    unit
        Of the samples: ``ms``, or things a second.
    samples
        For each contender a number from each round.
    round_trips
        For each contender how many it made for one job, or for one call; empty where they were not counted.
    """

    measure: str
    kind: str
    delay_ms: float | None
    unit: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    round_trips: dict[str, float] = field(default_factory=dict)

    def median(self, contender: str) -> float | None:
        """Return the median of a contender's samples, None where it did not take part."""
        return median(self.samples[contender]) if contender in self.samples else None

    def ratio(self, contender: str) -> float | None:
        """Return how many times better ours is: the median of the rounds' ratios, since a round's samples
        are taken at about the same time.

        Parameters
        ----------
        contender
            Better than whom.
        """
        if contender not in self.samples:
            return None
        pairs = zip(self.samples[OURS], self.samples[contender], strict=True)
        if self.unit == BETTER_IF_LESS:
            return median(theirs / ours for ours, theirs in pairs)
        return median(ours / theirs for ours, theirs in pairs)

    def summary(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        return {
            "measure": self.measure,
            "kind": self.kind,
            "delay_ms": self.delay_ms,
            "unit": self.unit,
            "median": {contender: round(median(numbers), 4) for contender, numbers in self.samples.items()},
            "ours_to": {name: round(ratio, 3) for name in (BY_HAND, LIMIT) if (ratio := self.ratio(name))},
            "round_trips": {contender: round(number, 2) for contender, number in self.round_trips.items()},
            "samples": {
                contender: [round(number, 4) for number in numbers]
                for contender, numbers in self.samples.items()
            },
        }


def compare(
    outcome: Outcome,
    contenders: Mapping[str, Opened],
    *,
    rounds: int,
    times: int,
    jobs_each: int,
    before: Callable[[int], object],
    after: Callable[[int], object],
    round_trips: Callable[[], int] | None,
) -> Outcome:
    """Let the contenders take turns, and note what each achieves.

    Parameters
    ----------
    outcome
        What the samples are added to.
    contenders
        What each one does; opened for all rounds.
    rounds
        How often each has its turn; every other round goes backwards.
    times
        How often the work is done in one turn.
    jobs_each
        How many jobs one time is.
    before, after
        Called around each turn with the number of its jobs, to provide them and to check them.
    round_trips
        How many there were so far; None where nobody counts.
    """
    with ExitStack() as stack:
        works = {name: stack.enter_context(opened) for name, opened in contenders.items()}
        turns = list(works)
        for number in range(-1, rounds):  # the first one is for warming up
            turn = times if number >= 0 else max(times, WARM_UP)
            counts: dict[str, float] = {}
            for name in turns if number % 2 else reversed(turns):
                before(turn * jobs_each)
                counted = round_trips() if round_trips else 0
                seconds = works[name](turn)
                counts[name] = ((round_trips() if round_trips else 0) - counted) / turn
                after(turn * jobs_each)
                if number >= 0:
                    per_second = turn * jobs_each / seconds
                    sample = 1000 * seconds / turn if outcome.unit == BETTER_IF_LESS else per_second
                    outcome.samples.setdefault(name, []).append(sample)
            if round_trips:
                outcome.round_trips = counts
    return outcome
