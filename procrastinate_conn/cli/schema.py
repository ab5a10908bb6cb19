"""``procrastinate-conn schema``: the settings as a JSON Schema."""

from __future__ import annotations

import json

import typer

from procrastinate_conn.cli.options import FAILED


def schema() -> None:
    """Print a JSON Schema of the settings, which names the variable of each as well.

    It has the keywords and pool options of the libpq and the psycopg_pool that are installed here.
    """
    try:
        from procrastinate_conn.schema import settings_schema

        document = settings_schema()
    except ImportError:
        typer.echo("psycopg cannot load libpq: pip install 'procrastinate-conn[binary]'", err=True)
        raise typer.Exit(FAILED) from None
    typer.echo(json.dumps(document, indent=1))
