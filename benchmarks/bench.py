"""A run: a server, a network in front of it, and every measure on every kind that supports it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import quote

from procrastinate.schema import SchemaManager

from benchmarks.comparison import WARM_UP, Outcome, compare
from benchmarks.contenders import BY_HAND, LIMIT, ON_PSYCOPG, OURS, RAW, by_hand, on_psycopg, ours
from benchmarks.measures import Measure, measures
from benchmarks.network import Network, network
from benchmarks.queries import DEFER, defer_arguments
from procrastinate_conn import ConnectorKind
from procrastinate_conn.demo.postgres import EmbeddedPostgres


class Bench:
    """The measures against one server.

    Parameters
    ----------
    server
        A running server without other load.
    rounds
        Turns of each contender.
    jobs
        Jobs in a turn, approximately.
    report
        Called with the name of each measure before it starts.
    """

    def __init__(
        self, server: EmbeddedPostgres, *, rounds: int, jobs: int, report: Callable[[str], object]
    ) -> None:
        self.server = server
        self.rounds = rounds
        self.jobs = jobs
        self.report = report
        self.database = server.create_database()
        self.direct = server.connect(self.database)
        self.direct.execute(SchemaManager.get_schema())

    def run(self, delay_ms: float, only: str) -> Iterator[Outcome]:
        """Run the measures, and yield their outcomes.

        Parameters
        ----------
        delay_ms
            Milliseconds added to each round trip. Without a delay the contenders use the Unix socket, and no
            proxy, which would take more time than the network that it simulates; then the round trips are
            not counted.
        only
            A part of the names of the measures to run.
        """
        server = self.server
        host = server.host if os.name == "nt" else str(server.directory)
        direct = self._dsn(host, server.port)
        with self._network(delay_ms) as proxy:
            dsn = self._dsn(server.host, proxy.port) if proxy else direct
            for measure in measures(direct):
                if only in measure.name:
                    for kind in measure.kinds:
                        self.report(f"{measure.name}, {kind}, {delay_ms:g} ms")
                        yield self._measure(measure, kind, dsn, delay_ms, proxy)

    def _dsn(self, host: str, port: int) -> str:
        """Return a URI, which SQLAlchemy accepts as libpq does, also with the directory of a Unix socket."""
        return f"postgresql://{self.server.user}@/{self.database}?host={quote(host)}&port={port}"

    @contextmanager
    def _network(self, delay_ms: float) -> Iterator[Network | None]:
        if not delay_ms:
            yield None
            return
        with network(self.server.host, self.server.port, delay_ms / 1000) as proxy:
            yield proxy

    def _measure(
        self, measure: Measure, kind: ConnectorKind, dsn: str, delay_ms: float, proxy: Network | None
    ) -> Outcome:
        if theirs := by_hand(kind, dsn, measure.connections):
            beside = {BY_HAND: measure.work(theirs)}
        else:
            beside = {ON_PSYCOPG: measure.work(ours(on_psycopg(kind), dsn, measure.connections))}
        contenders = {
            **beside,
            OURS: measure.work(ours(kind, dsn, measure.connections)),
            LIMIT: measure.limit(dsn, measure.limit_driver()),
        }
        if driver := measure.raw_driver(kind):
            contenders[RAW] = measure.limit(dsn, driver)
        return compare(
            Outcome(measure.name, kind, delay_ms, measure.unit),
            contenders,
            rounds=self.rounds,
            times=max(1, int(measure.share * self.jobs)),
            warm_up=WARM_UP * measure.at_a_time,
            jobs_each=measure.jobs_each,
            before=partial(self._provide, measure),
            after=partial(self._check, measure),
            round_trips=(lambda: proxy.round_trips) if proxy else None,
        )

    def _provide(self, measure: Measure, jobs: int) -> None:
        """Empty the queue, and defer the jobs of a measure that works jobs."""
        self.direct.execute("DELETE FROM procrastinate_jobs")
        self.direct.execute("VACUUM procrastinate_jobs, procrastinate_events")
        if measure.provides:
            self.direct.execute(DEFER, defer_arguments(jobs))

    def _check(self, measure: Measure, jobs: int) -> None:
        """Raise an error unless the jobs were deferred or worked."""
        status = "succeeded" if measure.works else "todo"
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status = %(status)s::procrastinate_job_status"
        [(count,)] = self.direct.execute(query, {"status": status}).fetchall()
        if count != jobs:
            raise RuntimeError(f"{measure.name}: {count} of {jobs} jobs are {status}")
