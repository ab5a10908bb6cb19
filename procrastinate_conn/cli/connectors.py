"""``procrastinate-conn connectors``: the kinds of connector, and which can be used here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from procrastinate_conn.cli import options
from procrastinate_conn.cli.output import standard_output
from procrastinate_conn.drivers import InstalledDrivers, installed_drivers
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY, installed_kinds, unusable_kinds

if TYPE_CHECKING:  # imported late: Rich is slow to import
    from rich.table import Table


def connectors(*, output: options.Format = options.OutputFormat.TEXT, color: options.Colour = None) -> None:
    """List the kinds of connector: which can be used here, on which drivers, and what each can do."""
    terminal = standard_output(color)
    kinds = [installed_drivers(kind) for kind in installed_kinds()]
    unusable = list(unusable_kinds())
    if output is options.OutputFormat.JSON:
        broken = [
            {"kind": error.name, "package": error.packages, "message": str(error), "hint": error.hint}
            for error in unusable
        ]
        document = {"connectors": [_document(kind) for kind in kinds], "unusable": broken}
        terminal.print(json.dumps(document, indent=1))
        return
    console = terminal.console()
    console.print(_table(kinds, console.width))
    for error in unusable:
        terminal.print(f"{error} ({error.hint})")


def _document(found: InstalledDrivers) -> dict[str, Any]:
    info = REGISTRY[found.kind]
    return {
        "kind": found.kind,
        "class": f"{info.class_module}.{info.class_name}",
        "default": found.kind is DEFAULT_KIND,
        "usable": found.usable,
        "install": None if found.usable else found.install,
        "drivers": found.drivers,
        "libpq": found.libpq,
        "defers": ["sync", "async"] if info.asynchronous else ["sync"],
        "runs_worker": info.asynchronous,
        "package": info.package or None,
    }


def _table(kinds: Sequence[InstalledDrivers], width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("connector", "here", "drivers", "libpq", "defers", "worker"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "connector" and width >= 80)
    for found in kinds:
        info = REGISTRY[found.kind]
        table.add_row(
            Text.assemble((found.kind, "bold"), "\n", (info.package or info.class_name, "dim")),
            Text("yes", "green") if found.usable else Text(found.install, "yellow"),
            "\n".join(f"{name} {version or 'missing'}" for name, version in found.drivers.items()),
            found.libpq or "",
            "sync+async" if info.asynchronous else "sync",
            "yes" if info.asynchronous else "no",
        )
    return table
