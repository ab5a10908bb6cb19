"""The measures, the kinds of connector that support them, and the work of each contender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import limit, work
from benchmarks.drivers import PSYCOPG, PSYCOPG_ASYNC, Driver, async_driver, sync_driver
from benchmarks.work import BATCH, THREADS, LoopFactory, Opened
from procrastinate_conn import ConnectorKind
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS

try:
    import uvloop
except ImportError:
    UVLOOP: LoopFactory | None = None
else:
    UVLOOP = uvloop.new_event_loop

ASYNCHRONOUS = tuple(kind for kind in SERVER_KINDS if REGISTRY[kind].asynchronous)
SYNCHRONOUS = tuple(kind for kind in SERVER_KINDS if not REGISTRY[kind].asynchronous)


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
        The work on a connector; the same work at the limit, on a DSN and a driver.
    asynchronous
        Whether the limit needs an asynchronous driver.
    share
        The number of times in a turn, as a share of ``--jobs``.
    jobs_each
        The number of jobs of one time; 0 for a query that defers none.
    unit
        ``jobs/s``, ``queries/s``, or ``ms`` for one time.
    at_a_time
        The number of connections that are in use at the same time.
    connections
        The size of the pools; None for their defaults.
    provides
        Whether the jobs are deferred before the turn.
    works
        Whether the jobs are worked, and not only deferred.
    """

    name: str
    kinds: tuple[ConnectorKind, ...]
    work: Callable[[Any], Opened]
    limit: Callable[..., Opened]
    asynchronous: bool = False
    share: float = 1.0
    jobs_each: int = 1
    unit: str = "jobs/s"
    at_a_time: int = 1
    connections: int | None = None
    provides: bool = False
    works: bool = False

    def limit_driver(self) -> Driver[Any]:
        """Return psycopg."""
        return PSYCOPG_ASYNC if self.asynchronous else PSYCOPG

    def raw_driver(self, kind: ConnectorKind) -> Driver[Any] | None:
        """Return the kind's own driver; None if it is psycopg, or no CPU time is measured."""
        if self.unit == "ms":
            return None
        driver = async_driver(kind) if self.asynchronous else sync_driver(kind)
        return None if driver is self.limit_driver() else driver


def measures(deferring_dsn: str) -> list[Measure]:
    """Return the measures against a server; jobs that wake up a worker are deferred on `deferring_dsn`."""
    return [
        Measure("query", SYNCHRONOUS, work.query, limit.query, jobs_each=0, unit="queries/s"),
        Measure(
            "query_async",
            ASYNCHRONOUS,
            work.query_async,
            limit.query_async,
            asynchronous=True,
            jobs_each=0,
            unit="queries/s",
        ),
        Measure("defer", SYNCHRONOUS, work.defer, limit.defer),
        _defer_async(),
        *([_defer_async(UVLOOP)] if UVLOOP else []),
        Measure(
            "batch_defer, 100 jobs",
            SYNCHRONOUS,
            work.batch_defer,
            limit.batch_defer,
            share=0.05,
            jobs_each=BATCH,
        ),
        Measure(
            "batch_defer_async, 100 jobs",
            ASYNCHRONOUS,
            work.batch_defer_async,
            limit.batch_defer_async,
            asynchronous=True,
            share=0.05,
            jobs_each=BATCH,
        ),
        Measure(
            f"defer, {THREADS} threads",
            SYNCHRONOUS,
            work.defer_from_threads,
            limit.defer_from_threads,
            share=2,
            at_a_time=THREADS,
            connections=THREADS,  # psycopg2's own pool does not wait for one
        ),
        *map(_work, (1, 10)),
        Measure(
            "LISTEN wake-up",
            ASYNCHRONOUS,
            partial(work.wake_up, deferring_dsn=deferring_dsn),
            partial(limit.wake_up, deferring_dsn=deferring_dsn),
            share=0.03,
            unit="ms",
            works=True,
        ),
    ]


def _defer_async(loop_factory: LoopFactory | None = None) -> Measure:
    return Measure(
        "defer_async, uvloop" if loop_factory else "defer_async",
        ASYNCHRONOUS,
        partial(work.defer_async, loop_factory=loop_factory),
        partial(limit.defer_async, loop_factory=loop_factory),
        asynchronous=True,
    )


def _work(concurrency: int) -> Measure:
    return Measure(
        f"work, concurrency {concurrency}",
        ASYNCHRONOUS,
        partial(work.worker, concurrency=concurrency),
        partial(limit.worker, concurrency=concurrency),
        asynchronous=True,
        share=0.5,
        at_a_time=concurrency,
        provides=True,
        works=True,
    )
