"""The measures, the kinds of connector that support them, and the work of each contender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from procrastinate.connector import BaseConnector

from benchmarks import limit, work
from benchmarks.work import BATCH, THREADS, Opened
from procrastinate_conn import ConnectorKind
from procrastinate_conn.registry import REGISTRY

EVERY = tuple(ConnectorKind)
ASYNCHRONOUS = tuple(kind for kind in EVERY if REGISTRY[kind].asynchronous)
THREADED = tuple(kind for kind in EVERY if not REGISTRY[kind].asynchronous)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure.

    Parameters
    ----------
    name
        The name in the results.
    kinds
        The kinds of connector that support it.
    work, limit
        The work on a connector, and the same work at the limit, on a DSN.
    share
        The number of times in a turn, as a share of ``--jobs``.
    jobs_each
        The number of jobs of one time.
    unit
        ``jobs/s``, or ``ms`` for one time.
    connections
        The size of the pools; None for their defaults.
    provides
        Whether the jobs are deferred before the turn.
    works
        Whether the jobs are worked, and not only deferred.
    """

    name: str
    kinds: tuple[ConnectorKind, ...]
    work: Callable[[BaseConnector], Opened]
    limit: Callable[[str], Opened]
    share: float = 1.0
    jobs_each: int = 1
    unit: str = "jobs/s"
    connections: int | None = None
    provides: bool = False
    works: bool = False


def measures(deferring_dsn: str) -> list[Measure]:
    """Return the measures against a server; jobs that wake up a worker are deferred on `deferring_dsn`."""
    return [
        Measure("defer", EVERY, work.defer, limit.defer),
        Measure("defer_async", ASYNCHRONOUS, work.defer_async, limit.defer_async),
        Measure("batch_defer, 100 jobs", EVERY, work.batch_defer, limit.batch_defer, 0.1, BATCH),
        Measure(
            "batch_defer_async, 100 jobs",
            ASYNCHRONOUS,
            work.batch_defer_async,
            limit.batch_defer_async,
            0.1,
            BATCH,
        ),
        Measure(
            f"defer, {THREADS} threads",
            THREADED,
            work.defer_from_threads,
            limit.defer_from_threads,
            4,
            connections=THREADS,  # psycopg2's own pool does not wait for one
        ),
        *(
            Measure(
                f"work, concurrency {concurrency}",
                ASYNCHRONOUS,
                partial(work.worker, concurrency=concurrency),
                limit.worker,
                provides=True,
                works=True,
            )
            for concurrency in (1, 10)
        ),
        Measure(
            "LISTEN wake-up",
            ASYNCHRONOUS,
            partial(work.wake_up, deferring_dsn=deferring_dsn),
            partial(limit.wake_up, deferring_dsn=deferring_dsn),
            0.1,
            unit="ms",
            works=True,
        ),
    ]
