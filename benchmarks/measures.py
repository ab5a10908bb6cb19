"""What is measured, on which kinds of connector, and what each of the contenders does for it."""

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
    """Something to measure.

    Parameters
    ----------
    name
        What it is called in the results.
    kinds
        The kinds of connector that can do it.
    work, limit
        The work with a connector, and the same at the limit, with a DSN.
    share
        How often it is done in a turn, as a share of ``--jobs``.
    jobs_each
        How many jobs one time is.
    unit
        ``jobs/s``, or ``ms`` for one time.
    connections
        How many the pools keep; None for their own defaults.
    provides
        Whether the jobs have to wait in the queue beforehand.
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
    """Return all that is measured against a server.

    Parameters
    ----------
    deferring_dsn
        Where jobs are deferred that have to wake up a worker.
    """
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
