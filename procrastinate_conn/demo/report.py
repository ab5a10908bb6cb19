"""The demo's one table."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from procrastinate_conn.demo.workload import Cost, Tally
from procrastinate_conn.registry import ConnectorKind


def table(tallies: Mapping[ConnectorKind, Tally]) -> Table:
    """Return the table of what became of each kind's jobs, and what they cost; 80 columns are enough."""
    result = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        caption="Each kind defers its jobs twice: for a worker on psycopg, and for one on aiopg.\n"
        "To defer and to work one job: milliseconds, and round trips to the server; above\n"
        "1.0 and 2.0 is what happens once, as connections are made and workers start.",
        caption_justify="left",
    )
    result.add_column("connector, settings from")
    for heading in ("deferred", "worked", "to defer", "to work"):
        result.add_column(heading, justify="right", no_wrap=True)
    for kind, tally in tallies.items():
        result.add_row(
            Text.assemble((kind, "bold"), "\n", (tally.settings_from, "dim")),
            str(tally.deferred),
            Text(str(tally.worked), style="green" if tally.worked == tally.deferred else "red"),
            per_call(tally.deferring),
            per_call(tally.working),
        )
    return result


def per_call(cost: Cost) -> str:
    """Return what one call took, like ``0.8 ms 1.0``; nothing where there were no calls."""
    if not cost.calls:
        return ""
    return f"{1000 * cost.seconds / cost.calls:.1f} ms {cost.round_trips / cost.calls:.1f}"
