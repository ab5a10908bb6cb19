"""``procrastinate-conn check``: everything that is wrong with the settings, without a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from procrastinate_conn.registry import ConnectorKind


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
    settings: Annotated[list[str] | None, options.settings_option()] = None,
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
    results = []
    for target in _targets(files, settings, connector, secrets_dir, isolated=isolated):
        with options.internal_error(target.name):
            results.append(_filtered(runner.check_target(target), select, ignore))
    report = Report(results, strict=strict)
    with options.internal_error("the report"):
        text = render(report, output, terminal)
    terminal.print(text)
    if not report.ok:
        raise typer.Exit(options.PROBLEMS_FOUND)


def _targets(
    files: Sequence[Path] | None,
    settings: Sequence[str] | None,
    connector: ConnectorKind | None,
    secrets_dirs: Sequence[Path] | None,
    *,
    isolated: bool,
) -> Iterator[runner.CheckTarget]:
    """Yield a configuration for each file and each settings object; the default one if there is neither."""
    configurations: Sequence[Path | None] = files or ([] if settings else [None])
    if secrets_dirs and not configurations:
        raise typer.BadParameter("settings in Python read their own files", param_hint="'--secrets-dir'")
    for file in configurations:
        yield runner.CheckTarget(file, connector, secrets_dirs or (), isolated)
    for path in settings or ():
        yield runner.CheckTarget(connector=connector, isolated=isolated, settings=path)


def _filtered(
    result: runner.CheckResult, select: list[str] | None, ignore: list[str] | None
) -> runner.CheckResult:
    selected, ignored = _codes(select) or ("",), _codes(ignore)  # every code begins with ""
    problems = (p for p in result.problems if p.code.startswith(selected) and not p.code.startswith(ignored))
    return replace(result, problems=tuple(problems))


def _codes(values: list[str] | None) -> tuple[str, ...]:
    return tuple(",".join(values).split(",")) if values else ()
