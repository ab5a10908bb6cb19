"""``procrastinate-conn show``: the effective settings, and where each is written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrastinate_conn.checks import runner
from procrastinate_conn.cli import options
from procrastinate_conn.cli.formats import FindingsFormat, Report
from procrastinate_conn.cli.output import standard_output

if TYPE_CHECKING:  # imported late, so that the other commands start fast
    from procrastinate_conn.configuration import Configuration


def show(
    file: options.EnvFile = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show overridden values and the libraries' defaults as well.")
    ] = False,
    prefix: options.Prefix = None,
    settings: options.Settings = None,
    connector: options.Connector = None,
    isolated: options.Isolated = False,
    secrets_dir: options.SecretsDir = None,
    output: options.Format = options.OutputFormat.TEXT,
    color: options.Colour = None,
) -> None:
    """Show the effective settings, and where each is written. Secrets are masked.

    Exit status: 0 no errors; 1 errors, which are shown as well; 2 wrong usage; 3 internal error.
    """
    terminal = standard_output(color)
    target = options.single_target(
        file, connector, secrets_dir, isolated=isolated, prefix=prefix, settings=settings
    )
    with options.internal_error(target.name):
        result = runner.check_target(target)
    report, configuration = Report([result]), result.configuration
    if output is options.OutputFormat.JSON:
        document = _document(configuration, everything=everything) if configuration else {}
        if result.problems:
            document["problems"] = [asdict(problem) for problem in result.problems]
        terminal.print(json.dumps(document, indent=1))
    else:
        if configuration:
            from procrastinate_conn.cli.show_text import tables

            console = terminal.console()
            console.print(tables(configuration, console.width, everything=everything))
        if result.problems:
            separator = "\n" if configuration else ""
            terminal.print(separator + report.render(FindingsFormat.TEXT, terminal))
    if not report.ok:
        raise typer.Exit(options.PROBLEMS_FOUND)


def _document(configuration: Configuration, *, everything: bool) -> dict[str, Any]:
    from procrastinate_conn.cli.show_values import effective_values

    sections = {
        section: {name: asdict(value) for name, value in values.items()}
        for section, values in effective_values(configuration, everything=everything).items()
    }
    settings, listen = sections.pop("setting"), sections.pop("listen")
    del settings["connector"]["overrides"]
    return {**settings, **sections, **({"listen": listen} if listen else {})}
