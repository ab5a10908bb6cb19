"""``procrastinate-conn show``: what will be used, and where each value comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrastinate_conn.checks.runner import (
    CheckResult,
    CheckTarget,
    check_configuration,
    has_libpq,
    resolve,
    without_libpq,
)
from procrastinate_conn.cli.formats import Format, render
from procrastinate_conn.cli.options import (
    FAILED,
    Colour,
    Connector,
    EnvFile,
    Isolated,
    Output,
    SecretsDir,
    find_modules_here,
    internal_error,
    isolate,
)
from procrastinate_conn.cli.output import Terminal, standard_output
from procrastinate_conn.cli.report import Report

if TYPE_CHECKING:  # it is imported late, so that the other commands answer at once
    from procrastinate_conn.configuration import Configuration


def show(
    file: EnvFile = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show what each value overrode, and the defaults of the libraries.")
    ] = False,
    connector: Connector = None,
    isolated: Isolated = False,
    secrets_dir: SecretsDir = None,
    output: Annotated[Output, typer.Option("--format", help="How it is printed.")] = Output.TEXT,
    color: Colour = None,
) -> None:
    """Show what will be used: every value, and where it is written. Secrets are masked.

    Exit status 0: in order; 1: problems found, which are shown as well; 2: wrong usage; 3: a
    fault of procrastinate-conn's own.
    """
    if isolated:
        isolate()
    find_modules_here()
    where = standard_output(color)
    target = CheckTarget(file, connector, secrets_dir or (), isolated)
    if not has_libpq():
        checked = without_libpq(target)
        as_json = json.dumps({"problems": [asdict(problem) for problem in checked.problems]}, indent=1)
        where.print(as_json if output is Output.JSON else render(Report([checked]), Format.TEXT, where))
        raise typer.Exit(FAILED)
    with internal_error(str(file or "the configuration")):
        configuration = resolve(target)
        checked = check_configuration(target, configuration)
    if output is Output.JSON:
        where.print(json.dumps(document(configuration, checked, everything=everything), indent=1))
    else:
        _print_tables(configuration, where, everything=everything)
        if checked.problems:
            where.print("\n" + render(Report([checked]), Format.TEXT, where))
    if not Report([checked]).ok:
        raise typer.Exit(FAILED)


def document(configuration: Configuration, checked: CheckResult, *, everything: bool) -> dict[str, Any]:
    """Return the JSON document; it has `problems` only where there are some.

    Parameters
    ----------
    configuration
        What was resolved.
    checked
        What is wrong with it.
    everything
        Whether the defaults of the libraries are in it.
    """
    from procrastinate_conn.cli import resolved

    connection = resolved.connection(configuration, everything=everything)
    pool = resolved.pool(configuration, everything=everything)
    others = resolved.others(configuration, everything=everything)
    shown: dict[str, Any] = {
        "connector": _without_overrides(asdict(resolved.connector(configuration))),
        **{setting: _with_overrides(asdict(row)) for setting, row in others.items()},
        "connection": {keyword: _with_overrides(asdict(row)) for keyword, row in connection.items()},
        "pool": {option: _with_overrides(asdict(row)) for option, row in pool.items()},
    }
    if checked.problems:
        shown["problems"] = [asdict(problem) for problem in checked.problems]
    return shown


def _with_overrides(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "overrides": [_without_overrides(beaten) for beaten in row["overrides"]]}


def _without_overrides(row: dict[str, Any]) -> dict[str, Any]:
    return {"value": row["value"], "origin": row["origin"]}


def _print_tables(configuration: Configuration, where: Terminal, *, everything: bool) -> None:
    from procrastinate_conn.cli.tables import tables

    printer = where.console()
    printer.print(tables(configuration, printer.width, everything=everything))
