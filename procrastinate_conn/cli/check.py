"""``procrastinate-conn check``: everything that is wrong with the settings, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from procrastinate_conn.checks import runner
from procrastinate_conn.checks.catalogue import all_rules, suggest_code
from procrastinate_conn.checks.project import Project, read_project
from procrastinate_conn.checks.runner import CheckTarget
from procrastinate_conn.cli import options
from procrastinate_conn.cli.formats import FindingsFormat, Report
from procrastinate_conn.cli.output import standard_output
from procrastinate_conn.origins import Origin

UNREADABLE = ("PC114", "PC115")
"""The rules about what could not be checked at all, which are reported whichever are selected."""


def parse_codes(text: str) -> str:
    """Validate codes, or beginnings of codes, with commas between them."""
    codes = [code.strip().upper() for code in text.split(",")]
    for code in codes:
        if not code or not any(rule.startswith(code) for rule in all_rules()):
            raise typer.BadParameter(f"no rule's code begins with {code!r}; {suggest_code(code)}")
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
    prefix: Annotated[
        list[str] | None,
        options.prefix_option(help="What the variables begin with; each is a configuration of its own."),
    ] = None,
    settings: Annotated[list[str] | None, options.settings_option()] = None,
    connector: options.Connector = None,
    strict: Annotated[
        bool | None, typer.Option("--strict/--no-strict", help="Exit with 1 on warnings as well.")
    ] = None,
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

    Without FILE.env, --prefix and --settings, it checks what [tool.procrastinate-conn] in pyproject.toml
    names.

    Exit status: 0 no errors; 1 errors, or with --strict warnings; 2 wrong usage; 3 internal error.
    """
    options.prepare_process(isolated=isolated)
    terminal = standard_output(color)
    with options.internal_error("pyproject.toml"):
        project = read_project()
        results = [runner.check_project(project)] if project.problems else []
    selected = options.split_commas(select) or project.select
    ignored = options.split_commas(ignore) or project.ignore
    targets = _targets(project, files, prefix, settings)
    if secrets_dir and all(target.settings for target in targets):
        raise typer.BadParameter("settings in Python have sources of their own", param_hint="'--secrets-dir'")
    for target in targets:
        directories = () if target.settings else (secrets_dir or ())
        complete = replace(target, connector=connector, secrets_dirs=directories, isolated=isolated)
        with options.internal_error(target.name):
            results.append(runner.check_target(complete))
    wanted = (*selected, *UNREADABLE) if selected else ("",)  # which begins every code
    for index, result in enumerate(results):
        found = (p for p in result.problems if p.code.startswith(wanted) and not p.code.startswith(ignored))
        results[index] = replace(result, problems=tuple(found))
    report = Report(results, strict=project.strict if strict is None else strict)
    with options.internal_error("the report"):
        text = report.render(output, terminal)
    terminal.print(text)
    if not report.ok:
        raise typer.Exit(options.PROBLEMS_FOUND)


def _targets(
    project: Project,
    files: Sequence[Path] | None,
    prefixes: Sequence[str] | None,
    settings: Sequence[str] | None,
) -> list[CheckTarget]:
    """Return a configuration for each prefix in each file, and for each object of settings in Python.

    The arguments are in the place of the files and settings in the project's table; its prefixes apply to
    the files of the arguments as well.
    """
    named: Sequence[Path | None] = files or ([None] if prefixes else [])
    objects: Mapping[str, Origin | None] = dict.fromkeys(settings or ())
    if not named and not objects:
        named, objects = project.files, project.settings
        options.import_from(Path(project.file or "").parent)
    each: Sequence[str | None] = prefixes or project.prefixes or [None]
    return [
        *(CheckTarget(file, prefix=prefix) for file in named for prefix in each),
        *(CheckTarget(settings=path, named_at=origin) for path, origin in objects.items()),
    ]
