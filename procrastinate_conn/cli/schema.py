"""``procrastinate-conn schema``: the settings as a JSON Schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import typer

from procrastinate_conn.cli import options
from procrastinate_conn.drivers import require_libpq
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames


def schema(*, prefix: options.Prefix = None, settings: options.Settings = None) -> None:
    """Print a JSON Schema of the settings, with the variable of each.

    It has the keywords and pool options of the installed libpq and psycopg_pool.
    """
    options.prepare_process(isolated=False)
    options.reject_beside_settings(settings, {"--prefix": prefix})
    with options.internal_error("the schema"):
        document, problems = _document(prefix, settings)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(options.PROBLEMS_FOUND)
    typer.echo(json.dumps(document, indent=1))


def _document(prefix: str | None, settings: str | None) -> tuple[dict[str, Any], Sequence[Problem]]:
    """Return the schema, or the problems for which there is none."""
    try:
        require_libpq()
        if settings is None:
            from procrastinate_conn.schema import settings_schema

            return settings_schema(DEFAULT_NAMES if prefix is None else SettingNames(prefix)), []
        from procrastinate_conn.checks.settings_object import load_schema

        with redirect_stdout(sys.stderr):
            return load_schema(settings), []
    except ConfigurationError as error:
        return {}, error.problems
