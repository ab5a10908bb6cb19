"""``procrastinate-conn check``: everything that is wrong with the settings, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.checks.runner import CheckTarget
from procrastinate_conn.checks.runner import check as check_one
from procrastinate_conn.cli.formats import Format, render
from procrastinate_conn.cli.options import (
    FAILED,
    Colour,
    Connector,
    Isolated,
    SecretsDir,
    complete_codes,
    find_modules_here,
    internal_error,
    isolate,
    suggest_code,
)
from procrastinate_conn.cli.output import standard_output
from procrastinate_conn.cli.report import Report, selected


def parse_codes(text: str) -> str:
    """Read codes, or beginnings of codes, with commas between them.

    Raises
    ------
    typer.BadParameter
        If no rule's code begins so.
    """
    codes = [code.strip().upper() for code in text.split(",")]
    for code in codes:
        if not code or not any(rule.startswith(code) for rule in all_rules()):
            raise typer.BadParameter(f"no rule's code begins with {code!r}; {suggest_code(code)}")
    return ",".join(codes)


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE.env]...",
            readable=False,
            show_default=False,
            help="Env files, each a configuration of its own. None: the environment and ./.env.",
        ),
    ] = None,
    *,
    connector: Connector = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    isolated: Isolated = False,
    secrets_dir: SecretsDir = None,
    output: Annotated[Format, typer.Option("--format", help="How findings are printed.")] = Format.TEXT,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODES",
            parser=parse_codes,
            autocompletion=complete_codes,
            help="Report these alone: codes, or their beginnings, such as PC3.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODES", parser=parse_codes, autocompletion=complete_codes, help="Leave these out."
        ),
    ] = None,
    color: Colour = None,
) -> None:
    """Find what is wrong with the settings, all at once and without a server.

    Exit status 0: in order; 1: problems found; 2: wrong usage; 3: a fault of procrastinate-conn's own.
    """
    if isolated:
        isolate()
    find_modules_here()
    configurations: Sequence[Path | None] = files or [None]
    targets = [CheckTarget(file, connector, secrets_dir or (), isolated) for file in configurations]
    where = standard_output(color)
    checked = []
    for target in targets:
        with internal_error(str(target.file or "the configuration")):
            checked.append(selected(check_one(target), _codes(select), _codes(ignore)))
    report = Report(checked, strict=strict)
    with internal_error("what was found"):
        rendered = render(report, output, where)
    where.print(rendered)
    if not report.ok:
        raise typer.Exit(FAILED)


def _codes(stated: list[str] | None) -> list[str]:
    return [code for codes in stated or [] for code in codes.split(",")]
