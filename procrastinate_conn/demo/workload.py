"""The demo's workload: jobs deferred in every way that a connector supports, worked, and counted."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import procrastinate

from procrastinate_conn import ConnectorSettings, make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.demo.proxy import CountingProxy
from procrastinate_conn.drivers import missing
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY, ConnectorKind, installed_kinds

KINDS = tuple(kind for kind in installed_kinds() if REGISTRY[kind].has_server and not missing(kind))
"""The kinds that connect to a server and are installed, those of other packages too."""

WORKERS = tuple(kind for kind in KINDS if REGISTRY[kind].asynchronous)
"""The kinds that defer asynchronously and run a worker."""

SPECIAL_CHARACTERS = '100 % of "it" isn\'t naïve \\ \n'
SIZES = (0, 100, 10_000)
"""Characters that follow `SPECIAL_CHARACTERS` in a job's argument."""

Arguments = dict[str, Any]


@dataclass(slots=True)
class Cost:
    """The cost of a number of calls, together."""

    calls: int = 0
    seconds: float = 0.0
    round_trips: int = 0


@dataclass(slots=True)
class Totals:
    """The jobs of one kind of connector, and their cost."""

    settings_from: str  # the origin of the server's address
    deferred: int = 0
    worked: int = 0  # succeeded exactly once, with the arguments that they were deferred with
    deferring: Cost = field(default_factory=Cost)  # with this kind
    working: Cost = field(default_factory=Cost)  # by a worker of this kind


@dataclass
class Workload:
    """Jobs deferred by every kind, once for a worker of each kind that can run one."""

    server: EmbeddedPostgres
    database: str  # on the server, for the jobs
    proxy: CountingProxy  # the connectors' way to the server
    jobs: int  # that each kind defers for each worker
    progress: Callable[[str, int], object]  # gets the step, and how many jobs were just deferred or worked

    def __post_init__(self) -> None:
        self.totals = {kind: Totals(host_origin(kind)) for kind in KINDS}
        self._numbers = itertools.count()
        self._deferred: dict[int, tuple[ConnectorKind, int]] = {}  # by the id of the job
        self._runs: Counter[int] = Counter()

    def run(self) -> None:
        """Apply procrastinate's schema, defer and work all jobs, and count them."""
        with self._app(ConnectorKind.PSYCOPG).open() as app:
            app.schema_manager.apply_schema()
        for worker in WORKERS:
            for kind in KINDS:
                self._defer(kind)
            run(self._work(worker))
        self._count_worked()

    def _app(self, kind: ConnectorKind) -> procrastinate.App:
        app = procrastinate.App(connector=make_connector(kind, env_file=profile(kind)))

        @app.task(name="check")
        async def check(number: int, text: str) -> None:
            if text == text_argument(number):
                self._runs[number] += 1
            self.progress(f"{kind} works", 1)

        return app

    def _defer(self, kind: ConnectorKind) -> None:
        """Defer this kind's jobs for the next worker, in each way that it supports."""
        numbers = itertools.islice(self._numbers, self.jobs)
        jobs: list[Arguments] = [{"number": number, "text": text_argument(number)} for number in numbers]
        if REGISTRY[kind].asynchronous:
            run(self._defer_asynchronously(kind, jobs[1::2]))
            jobs = jobs[::2]
        first, single, batch = jobs[0], jobs[1::2], jobs[2::2]
        with self._app(kind).open() as app:
            task = app.tasks["check"]
            self._add_deferred(kind, [first], [task.defer(**first)])  # connects, and is not measured
            with self._measured(self.totals[kind].deferring, len(single)):
                ids = [task.defer(**arguments) for arguments in single]
            self._add_deferred(kind, single, ids)
            self._add_deferred(kind, batch, task.batch_defer(*batch))

    async def _defer_asynchronously(self, kind: ConnectorKind, jobs: list[Arguments]) -> None:
        single, batch = jobs[::2], jobs[1::2]
        async with self._app(kind).open_async() as app:
            task = app.tasks["check"]
            self._add_deferred(kind, single, [await task.defer_async(**arguments) for arguments in single])
            self._add_deferred(kind, batch, await task.batch_defer_async(*batch))

    async def _work(self, kind: ConnectorKind) -> None:
        """Work every job that waits, with a worker on this kind."""
        async with self._app(kind).open_async() as app:
            with self._measured(self.totals[kind].working, self.jobs * len(KINDS)):
                await app.run_worker_async(wait=False, install_signal_handlers=False)

    @contextmanager
    def _measured(self, cost: Cost, calls: int) -> Iterator[None]:
        """Add the cost of the block to `cost`."""
        started, round_trips = time.perf_counter(), self.proxy.round_trips
        yield
        cost.calls += calls
        cost.seconds += time.perf_counter() - started
        cost.round_trips += self.proxy.round_trips - round_trips

    def _add_deferred(self, kind: ConnectorKind, jobs: list[Arguments], ids: list[int]) -> None:
        """Record deferred jobs, outside the database."""
        numbers = [arguments["number"] for arguments in jobs]
        self._deferred.update({job: (kind, number) for job, number in zip(ids, numbers, strict=True)})
        self.totals[kind].deferred += len(ids)
        self.progress(f"{kind} defers", len(ids))

    def _count_worked(self) -> None:
        """Look up every deferred job in the database, on a connection of the server's own."""
        with self.server.connect(self.database) as connection:
            succeeded: dict[int, int] = dict(
                connection.execute(
                    "SELECT id, (args ->> 'number')::int FROM procrastinate_jobs WHERE status = 'succeeded'"
                ).fetchall()
            )
        for job, (kind, number) in self._deferred.items():
            if succeeded.get(job) == number and self._runs[number] == 1:
                self.totals[kind].worked += 1


def text_argument(number: int) -> str:
    """Return the text that belongs to a job's number."""
    return SPECIAL_CHARACTERS + "x" * SIZES[number % len(SIZES)]


def profile(kind: ConnectorKind) -> Path:
    """Return the env file of a kind: the wheel carries a copy, a checkout has them in ``settings/``.

    A kind of another package has none; it takes that of ``psycopg``.
    """
    package = Path(__file__).parent
    folder = package / "settings"
    if not folder.is_dir():
        folder = package.parents[1] / "settings" / "demo"
    own = folder / f"{kind}.env"
    return own if own.exists() else folder / f"{DEFAULT_KIND}.env"


def host_origin(kind: ConnectorKind) -> str:
    """Return the origin of the server's address in a kind's profile: the file, the line, and the variable."""
    origin = ConnectorSettings(_env_file=profile(kind)).spec().origins["host"]
    return f"{profile(kind).name}:{origin.line} {origin.name}"


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on the event loop that psycopg and aiopg need; on Windows it is not the default."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(coroutine)
