"""The results of a soak as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.soak.run import Result

WIDTH = 140
"""Of the table, in characters."""

COLUMNS = (
    "connector",
    "seconds",
    "jobs",
    "jobs/s",
    "terminated",
    "failed",
    "lost",
    "doubled",
    "longest, s",
    "memory, MiB",
    "slots",
)


def show(results: Sequence[Result], console: Console) -> None:
    """Print a table of the kinds, their failed calls, and what is wrong."""
    table = Table(*COLUMNS, title="Jobs deferred while backends are terminated", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)
    for result in results:
        for (failure, is_stored), number in sorted(result.jobs.failures.items()):
            stored = "stored" if is_stored else "not stored"
            cause = f" ({failure.cause})" if failure.cause else ""
            console.print(f"{result.kind}: {number} × {failure.error}{cause}, {stored}")  # noqa: RUF001
    for result in results:
        for finding in result.findings():
            console.print(f"[red]{result.kind}: {finding}[/]")


def _cells(result: Result) -> list[str]:
    jobs = result.jobs
    return [
        str(result.kind),
        f"{result.seconds:.0f}",
        f"{jobs.calls:,}",
        f"{jobs.calls / result.seconds:,.0f}",
        str(result.terminated),
        str(jobs.failures.total()),
        str(len(jobs.lost)),
        str(len(jobs.doubled)),
        f"{result.longest:.2f}",
        f"{result.memory_mib:.0f} ({result.growth_mib:+.1f})",
        str(result.usable_slots),
    ]
