"""The demo from start to end: a server, a workload, a table."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from procrastinate_conn.demo.profiles import environment_of_its_own, tell_profiles
from procrastinate_conn.demo.proxy import CountingProxy
from procrastinate_conn.demo.report import table
from procrastinate_conn.demo.signals import embedded_postgres, end_as_ctrl_c_does
from procrastinate_conn.demo.workload import WORKERS, Workload
from procrastinate_conn.registry import ConnectorKind


def run(jobs: int) -> int:
    """Run the demo, with a progress bar on stderr and the table on stdout.

    Parameters
    ----------
    jobs
        How many jobs each kind defers for each worker.

    Returns
    -------
    int
        How many jobs were lost.
    """
    end_as_ctrl_c_does()
    columns = (TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        environment_of_its_own(),
    ):
        bar = progress.add_task("Starting PostgreSQL", total=2 * jobs * len(ConnectorKind) * len(WORKERS))

        def report(doing: str, done: int) -> None:
            progress.update(bar, description=doing, advance=done)

        with embedded_postgres() as server, CountingProxy(server.host, server.port) as proxy:
            database = server.create_database("jobs")
            tell_profiles({**server.parameters(database), "port": str(proxy.port)})
            workload = Workload(server, database, proxy, jobs=jobs, report=report)
            workload.run()
    Console().print(table(workload.tallies))
    return sum(tally.deferred - tally.worked for tally in workload.tallies.values())
