"""What became of every job that was to be deferred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

OUTCOME_UNKNOWN = "OutcomeUnknown"
"""The one error after which a job may be stored."""

NOT_STORED_ONCE = """
SELECT caller.position::int - 1, number, count(job.id)::int
FROM unnest(%s::int[]) WITH ORDINALITY AS caller (calls, position)
CROSS JOIN generate_series(0, caller.calls - 1) AS number
LEFT JOIN procrastinate_jobs AS job
    ON job.args = jsonb_build_object('caller', caller.position - 1, 'number', number)
GROUP BY 1, 2 HAVING count(job.id) <> 1
"""


class Call(NamedTuple):
    """A call: the number of its caller, and its own among that caller's, both from 0."""

    caller: int
    number: int


class Failure(NamedTuple):
    """Why a call failed: the error's name, and the driver's error that caused it with its first line."""

    error: str
    cause: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the texts of an error; to keep it would keep its traceback and its frames."""
        cause = error.__cause__
        if cause is None:
            return cls(type(error).__name__, "")
        [first_line, *_] = str(cause).splitlines() or [""]
        return cls(type(error).__name__, f"{type(cause).__name__}: {first_line}")


@dataclass(frozen=True, slots=True)
class Account:
    """The jobs of all calls.

    Parameters
    ----------
    calls
        The number of calls.
    lost
        Calls that succeeded without a stored job.
    doubled
        Calls whose job is stored more than once.
    misreported
        Calls that failed with another error than `OUTCOME_UNKNOWN`, and whose job is stored: whoever defers
        it again has it twice.
    failures
        The failed calls: why, and whether the job is stored, with their number.
    """

    calls: int
    lost: list[Call]
    doubled: list[Call]
    misreported: list[Call]
    failures: Counter[tuple[Failure, bool]]


def account(connection: psycopg.Connection, calls: Sequence[int], failed: Mapping[Call, Failure]) -> Account:
    """Compare the calls with the stored jobs.

    Parameters
    ----------
    connection
        A connection to the database of the jobs.
    calls
        The number of calls of each caller.
    failed
        The calls that failed.
    """
    rows = connection.execute(NOT_STORED_ONCE, [list(calls)]).fetchall()
    times_stored = {Call(caller, number): times for caller, number, times in rows}
    stored = {call for call in failed if times_stored.get(call, 1)}
    return Account(
        calls=sum(calls),
        lost=[call for call, times in times_stored.items() if not times and call not in failed],
        doubled=[call for call, times in times_stored.items() if times > 1],
        misreported=[call for call in sorted(stored) if failed[call].error != OUTCOME_UNKNOWN],
        failures=Counter((failure, call in stored) for call, failure in failed.items()),
    )
