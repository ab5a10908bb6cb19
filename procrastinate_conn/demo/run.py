"""The demo from start to end: a server, a workload, a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.demo.process import deferred_signals, isolated_environment, treat_sigterm_as_sigint
from procrastinate_conn.demo.proxy import CountingProxy
from procrastinate_conn.demo.workload import KINDS, WORKERS, Cost, Totals, Workload
from procrastinate_conn.registry import ConnectorKind


def run(jobs: int) -> int:
    """Run the demo, with a progress bar on stderr and the table on stdout; return the number of lost jobs.

    Each kind defers `jobs` jobs for each worker.
    """
    treat_sigterm_as_sigint()
    columns = (TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        isolated_environment(),
    ):
        bar = progress.add_task("Starting PostgreSQL", total=2 * jobs * len(KINDS) * len(WORKERS))

        def advance(step: str, done: int) -> None:
            progress.update(bar, description=step, advance=done)

        with _embedded_postgres() as server, CountingProxy(server.host, server.port) as proxy:
            database = server.create_database("jobs")
            address = {**server.parameters(database), "port": str(proxy.port)}
            os.environ.update({f"DEMO_{keyword.upper()}": value for keyword, value in address.items()})
            workload = Workload(server, database, proxy, jobs=jobs, progress=advance)
            workload.run()
    Console().print(_table(workload.totals))
    return sum(totals.deferred - totals.worked for totals in workload.totals.values())


@contextmanager
def _embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """Run a server for the block; a signal interrupts neither its start nor its removal."""
    server = EmbeddedPostgres()
    try:
        with deferred_signals():
            server.start()
        yield server
    finally:
        with deferred_signals():
            server.remove()


def _table(totals_by_kind: Mapping[ConnectorKind, Totals]) -> Table:
    """Return the table of jobs and their cost, for 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        caption=f"Each kind defers its jobs once for each worker: {', '.join(WORKERS)}.\n"
        "To defer and to work one job: milliseconds, and round trips to the server; above\n"
        "1.0 and 2.0 is what happens once, as connections are made and workers start.",
        caption_justify="left",
    )
    table.add_column("connector, settings from")
    for heading in ("deferred", "worked", "to defer", "to work"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind, totals in totals_by_kind.items():
        table.add_row(
            Text.assemble((kind, "bold"), "\n", (totals.settings_from, "dim")),
            str(totals.deferred),
            Text(str(totals.worked), style="green" if totals.worked == totals.deferred else "red"),
            _per_call(totals.deferring),
            _per_call(totals.working),
        )
    return table


def _per_call(cost: Cost) -> str:
    """Return the cost of one call, like ``0.8 ms 1.0``; empty if there were no calls."""
    if not cost.calls:
        return ""
    return f"{1000 * cost.seconds / cost.calls:.1f} ms {cost.round_trips / cost.calls:.1f}"
