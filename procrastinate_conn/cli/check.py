"""``procrastinate-conn check``: everything that is wrong with the settings, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from procrastinate_conn.checks import runner
from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.cli import options
from procrastinate_conn.cli.formats import FindingsFormat, render
from procrastinate_conn.cli.formats.report import Report
from procrastinate_conn.cli.output import standard_output


def parse_codes(text: str) -> str:
    """Validate codes, or beginnings of codes, with commas between them."""
    codes = [code.strip().upper() for code in text.split(",")]
    for code in codes:
        if not code or not any(rule.startswith(code) for rule in all_rules()):
            hint = options.suggest_code(code)
            raise typer.BadParameter(f"no rule's code begins with {code!r}; {hint}")
    return ",".join(codes)


_code_option = partial(
    typer.Option, metavar="CODES", parser=parse_codes, autocompletion=options.complete_codes
)


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE.env]...",
            readable=False,
            show_default=False,
            help="Env files, each a configuration of its own. Default: the environment and ./.env.",
        ),
    ] = None,
    *,
    connector: options.Connector = None,
    strict: options.Strict = False,
    isolated: options.Isolated = False,
    secrets_dir: options.SecretsDir = None,
    output: Annotated[FindingsFormat, options.FORMAT] = FindingsFormat.TEXT,
    select: Annotated[
        list[str] | None,
        _code_option(help="Report only these rules: codes, or their beginnings, such as PC3."),
    ] = None,
    ignore: Annotated[list[str] | None, _code_option(help="Ignore these rules.")] = None,
    color: options.Colour = None,
) -> None:
    """Find everything that is wrong with the settings, without a server.

    Exit status: 0 no problems; 1 problems found; 2 wrong usage; 3 internal error.
    """
    options.prepare_process(isolated=isolated)
    terminal = standard_output(color)
    configurations: Sequence[Path | None] = files or [None]
    results = []
    for file in configurations:
        with options.internal_error(str(file or "the configuration")):
            result = runner.check_target(runner.CheckTarget(file, connector, secrets_dir or (), isolated))
            results.append(_filtered(result, select, ignore))
    report = Report(results, strict=strict)
    with options.internal_error("the report"):
        text = render(report, output, terminal)
    terminal.print(text)
    if not report.ok:
        raise typer.Exit(options.PROBLEMS_FOUND)


def _filtered(
    result: runner.CheckResult, select: list[str] | None, ignore: list[str] | None
) -> runner.CheckResult:
    selected, ignored = _codes(select) or ("",), _codes(ignore)  # every code begins with ""
    problems = (p for p in result.problems if p.code.startswith(selected) and not p.code.startswith(ignored))
    return replace(result, problems=tuple(problems))


def _codes(values: list[str] | None) -> tuple[str, ...]:
    return tuple(",".join(values).split(",")) if values else ()
