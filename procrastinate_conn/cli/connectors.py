"""``procrastinate-conn connectors``: which kinds can be used here, and what each can do."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from procrastinate_conn.cli.options import Colour, Output
from procrastinate_conn.cli.output import standard_output
from procrastinate_conn.installed import Available, available
from procrastinate_conn.registry import REGISTRY, ConnectorKind


def connectors(
    *,
    output: Annotated[Output, typer.Option("--format", help="How they are printed.")] = Output.TEXT,
    color: Colour = None,
) -> None:
    """List the kinds of connector: which can be used here, on which drivers, and what each can do."""
    kinds = [available(kind) for kind in ConnectorKind]
    where = standard_output(color)
    if output is Output.JSON:
        where.print(json.dumps({"connectors": [_document(kind) for kind in kinds]}, indent=1))
        return
    from procrastinate_conn.cli.connector_table import kinds_table

    where.console().print(kinds_table(kinds))


def _document(found: Available) -> dict[str, Any]:
    facts = REGISTRY[found.kind]
    return {
        "kind": found.kind,
        "class": f"{facts.class_module}.{facts.class_name}",
        "default": found.kind is ConnectorKind.PSYCOPG,
        "usable": found.usable,
        "install": None if found.usable else found.install,
        "drivers": found.drivers,
        "libpq": found.libpq,
        "defers": ["sync", "async"] if facts.asynchronous else ["sync"],
        "runs_worker": facts.asynchronous,
    }
