"""``procrastinate-conn schema``: the settings as a JSON Schema."""

from __future__ import annotations

import json

import typer

from procrastinate_conn.checks.runner import has_libpq
from procrastinate_conn.cli.options import PROBLEMS_FOUND
from procrastinate_conn.drivers import no_libpq


def schema() -> None:
    """Print a JSON Schema of the settings, with the variable of each.

    It has the keywords and pool options of the installed libpq and psycopg_pool.
    """
    if not has_libpq():
        problem = no_libpq()
        typer.echo(f"{problem.message}: {problem.hint}", err=True)
        raise typer.Exit(PROBLEMS_FOUND)
    from procrastinate_conn.schema import settings_schema

    typer.echo(json.dumps(settings_schema(), indent=1))
