"""A run: a server, a network in front of it, and every measure on every kind that can do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from procrastinate.schema import SchemaManager

from benchmarks.comparison import Outcome, compare
from benchmarks.contenders import BY_HAND, LIMIT, OURS, by_hand, ours
from benchmarks.measures import Measure, measures
from benchmarks.network import Network, network
from benchmarks.queries import connect, defer_jobs
from procrastinate_conn import ConnectorKind
from procrastinate_conn.demo.postgres import EmbeddedPostgres

TABLES = "procrastinate_jobs, procrastinate_events, procrastinate_workers"


class Bench:
    """What is measured against one server.

    Parameters
    ----------
    server
        Is running, and has nothing else to do.
    rounds
        Turns of each contender.
    jobs
        Jobs in a turn.
    report
        Called with what is being measured.
    """

    def __init__(
        self, server: EmbeddedPostgres, *, rounds: int, jobs: int, report: Callable[[str], object]
    ) -> None:
        self.server = server
        self.rounds = rounds
        self.jobs = jobs
        self.report = report
        database = server.create_database()
        self.dsn = f"postgresql://{server.user}@{server.host}:{{port}}/{database}"
        self.straight = connect(self.dsn.format(port=server.port))
        self.straight.execute(SchemaManager.get_schema())

    def run(self, delay_ms: float, only: str) -> Iterator[Outcome]:
        """Measure.

        Parameters
        ----------
        delay_ms
            Milliseconds added to each round trip. Without any there is no proxy either, which would take
            more time than the network that it stands for; and nobody to count the round trips.
        only
            What the names of the measures contain.
        """
        straight = self.dsn.format(port=self.server.port)
        with self._way(delay_ms) as way:
            dsn = self.dsn.format(port=way.port) if way else straight
            for measure in measures(straight):
                if only in measure.name:
                    for kind in measure.kinds:
                        self.report(f"{measure.name}, {kind}, {delay_ms:g} ms")
                        yield self._measure(measure, kind, dsn, delay_ms, way)

    @contextmanager
    def _way(self, delay_ms: float) -> Iterator[Network | None]:
        if not delay_ms:
            yield None
            return
        with network(self.server.host, self.server.port, delay_ms / 1000) as way:
            yield way

    def _measure(
        self, measure: Measure, kind: ConnectorKind, dsn: str, delay_ms: float, way: Network | None
    ) -> Outcome:
        return compare(
            Outcome(measure.name, kind, delay_ms, measure.unit),
            {
                BY_HAND: measure.work(by_hand(kind, dsn, measure.connections)),
                OURS: measure.work(ours(kind, dsn, measure.connections)),
                LIMIT: measure.limit(dsn),
            },
            rounds=self.rounds,
            times=max(1, int(measure.share * self.jobs)),
            jobs_each=measure.jobs_each,
            before=partial(self._provide, measure),
            after=partial(self._check, measure),
            round_trips=(lambda: way.round_trips) if way else None,
        )

    def _provide(self, measure: Measure, jobs: int) -> None:
        """Begin with an empty queue, or with one that holds the jobs to work."""
        self.straight.execute("DELETE FROM procrastinate_jobs")
        if measure.provides:
            defer_jobs(self.straight, jobs)

    def _check(self, measure: Measure, jobs: int) -> None:
        """Make sure that the measured work was done."""
        status = "succeeded" if measure.works else "todo"
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status = %s::procrastinate_job_status"
        [row] = self.straight.execute(query, [status]).fetchall()
        if row["count"] != jobs:
            raise RuntimeError(f"{measure.name}: {row['count']} of {jobs} jobs are {status}")
