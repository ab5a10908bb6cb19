"""``procrastinate-conn demo``: every connector against an embedded PostgreSQL."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from procrastinate_conn.registry import REGISTRY

SERVER = "procrastinate_conn.demo.postgres"
NEEDED = (*sorted({driver for info in REGISTRY.values() for driver in info.drivers}), SERVER)
"""The modules that can be imported only if the extra `all` is installed."""

LOST = 1
CANNOT_START = 2
INTERRUPTED = 130
"""The exit statuses of failures."""


def demo(
    jobs: Annotated[int, typer.Option(min=8, help="Jobs that each connector defers for each worker.")] = 100,
) -> None:
    """Run every connector against an embedded PostgreSQL, and account for every job.

    Starts a PostgreSQL of its own in a temporary directory, defers jobs with each connector, processes
    them with a worker of each kind that runs one, and shows what each job cost. Exit status 1 means
    that a job was lost. Your own connection settings are not read, and nothing is left behind. It needs
    every driver: pip install 'procrastinate-conn[all]'.
    """
    try:
        for module in NEEDED:
            import_module(module)
    except ImportError as error:
        reason = str(error).splitlines()[0]
        typer.echo(f"The demo needs every driver: {reason} (pip install 'procrastinate-conn[all]')", err=True)
        raise typer.Exit(CANNOT_START) from None
    from procrastinate_conn.demo.run import run  # the other commands need none of this

    try:
        lost = run(jobs)
    except KeyboardInterrupt:
        typer.echo("Interrupted. The server is stopped and removed.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if lost:
        typer.echo(f"Jobs lost: {lost}", err=True)
        raise typer.Exit(LOST)
