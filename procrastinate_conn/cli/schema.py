"""``procrastinate-conn schema``: the settings as a JSON Schema."""

from __future__ import annotations

import json

import typer

from procrastinate_conn.checks.runner import has_libpq
from procrastinate_conn.cli.options import FAILED
from procrastinate_conn.drivers import no_libpq


def schema() -> None:
    """Print a JSON Schema of the settings, which names the variable of each as well.

    It has the keywords and pool options of the libpq and the psycopg_pool that are installed here.
    """
    if not has_libpq():
        problem = no_libpq()
        typer.echo(f"{problem.message}: {problem.hint}", err=True)
        raise typer.Exit(FAILED)
    from procrastinate_conn.schema import settings_schema

    typer.echo(json.dumps(settings_schema(), indent=1))
