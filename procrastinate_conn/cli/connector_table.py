"""The kinds of connector as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from procrastinate_conn.installed import Available
from procrastinate_conn.registry import REGISTRY


def kinds_table(kinds: Sequence[Available]) -> Table:
    """Return the table.

    Parameters
    ----------
    kinds
        What is known of each kind.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("connector", "here", "drivers", "libpq", "defers", "worker"):
        table.add_column(heading, overflow="fold")
    for found in kinds:
        asynchronous = REGISTRY[found.kind].asynchronous
        table.add_row(
            Text.assemble((found.kind, "bold"), "\n", (REGISTRY[found.kind].class_name, "dim")),
            Text("yes", "green") if found.usable else Text(found.install, "yellow"),
            "\n".join(f"{name} {version or 'missing'}" for name, version in found.drivers.items()),
            found.libpq or "",
            "sync+async" if asynchronous else "sync",
            "yes" if asynchronous else "no",
        )
    return table
