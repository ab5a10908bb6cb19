"""``procrastinate-conn doctor``: what is wrong with the live server, host by host."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import typer

from procrastinate_conn.checks import runner
from procrastinate_conn.cli import options
from procrastinate_conn.cli.output import Terminal, standard_output
from procrastinate_conn.doctor.report import DoctorReport, HostReport, Result, Status
from procrastinate_conn.problems import Problem, counted
from procrastinate_conn.registry import REGISTRY
from procrastinate_conn.setting_names import DEFAULT_NAMES
from procrastinate_conn.similarity import nearest

MARKS = {"pass": ("ok", "green"), "warning": ("warn", "yellow"), "fail": ("FAIL", "red")}
"""Mark and colour of each status."""


def parse_checks(text: str) -> str:
    """Validate names of checks, with commas between them."""
    from procrastinate_conn.doctor.runner import NAMES

    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in NAMES:
            near = nearest(name, NAMES)
            hint = f"did you mean {near}?" if near else f"the checks are {', '.join(NAMES)}"
            raise typer.BadParameter(f"there is no check {name!r}; {hint}")
    return ",".join(names)


_check_option = partial(typer.Option, metavar="CHECKS", show_default=False, parser=parse_checks)


def doctor(
    file: options.EnvFile = None,
    *,
    prefix: options.Prefix = None,
    settings: options.Settings = None,
    connector: options.Connector = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes of the application, each with a pool of its own.")
    ] = 1,
    timeout: Annotated[float, typer.Option(min=1.0, help="The time limit of all checks, in seconds.")] = 30.0,
    select: Annotated[
        list[str] | None, _check_option(help="Run only these checks, and those that they need.")
    ] = None,
    ignore: Annotated[list[str] | None, _check_option(help="Leave out these checks.")] = None,
    strict: options.Strict = False,
    isolated: options.Isolated = False,
    secrets_dir: options.SecretsDir = None,
    output: options.Format = options.OutputFormat.TEXT,
    color: options.Colour = None,
) -> None:
    """Find what is wrong with the live server: connectivity, TLS, role, schema, LISTEN, pool sizes.

    Every host is checked on its own. Nothing is written except a NOTIFY on a channel of doctor's own.

    Exit status: 0 no failures; 1 failures, or with --strict warnings; 2 wrong usage; 3 internal error.
    """
    terminal = standard_output(color)
    target = options.single_target(
        file, connector, secrets_dir, isolated=isolated, prefix=prefix, settings=settings
    )
    selected, ignored = options.split_commas(select), options.split_commas(ignore)
    with options.internal_error(target.name):
        report = diagnose(target, processes, timeout, selected, ignored)
        ok = report.passes(strict=strict)
        text = _render(report, terminal)
        if output is options.OutputFormat.JSON:
            text = json.dumps({"ok": ok, **asdict(report)}, indent=1)
    terminal.print(text)
    if not ok:
        raise typer.Exit(options.PROBLEMS_FOUND)


def diagnose(
    target: runner.CheckTarget,
    processes: int,
    seconds: float,
    selected: Collection[str] = (),
    ignored: Collection[str] = (),
) -> DoctorReport:
    """Check the settings, and then the hosts if a connector can be built, in a limited number of seconds.

    A check that fails is reported although it was not selected, unless it is ignored: the selected ones need
    it.
    """
    result = runner.check_target(target)
    configuration = result.configuration
    names = DEFAULT_NAMES if configuration is None else configuration.names
    checks = [*map(_settings_result, result.problems)] or [Result("settings", "pass", "in order")]
    hosts: list[HostReport] = []

    def is_wanted(name: str) -> bool:
        return name not in ignored and (not selected or name in selected)

    def reported(results: Sequence[Result]) -> list[Result]:
        return [
            replace(each, hint=names.translate(each.hint))
            for each in results
            if is_wanted(each.name) or (each.status == "fail" and each.name not in ignored)
        ]

    if configuration and configuration.errors:
        message = "not tried: no connector can be built from the settings"
        checks.append(Result("connect", "fail", message, "correct them first"))
    elif configuration and configuration.redacted_keywords:
        from procrastinate_conn.sources.dsn import ENCODE_PASSWORD

        # The resolver would be sent a piece of the password.
        message = "not tried: the DSN's password ends too early"
        checks.append(Result("connect", "fail", message, ENCODE_PASSWORD))
    elif configuration and not REGISTRY[configuration.settings.kind].has_server:
        checks.append(Result("connect", "pass", f"the {result.connector} connector has no server to check"))
    elif configuration:
        from rich.console import Console
        from rich.markup import escape

        from procrastinate_conn.doctor.runner import run

        logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())  # the report has its errors
        config = configuration.connector_config()
        with Console(stderr=True, force_terminal=sys.stderr.isatty()).status("") as status:
            hosts, of_connector = run(
                config, processes, seconds, lambda step: status.update(escape(step)), is_wanted
            )
        checks += of_connector
    hosts = [replace(host, checks=reported(host.checks)) for host in hosts]
    report = DoctorReport(result.connector, reported(checks), hosts)
    have_run = {each.name for each in report.results()}
    return replace(report, not_run=[name for name in selected if name not in have_run])


def _settings_result(problem: Problem) -> Result:
    origin = f"{problem.origin}: " if problem.origin else ""
    status: Status = "fail" if problem.severity == "error" else "warning"
    return Result("settings", status, f"{origin}{problem.code} {problem.message}", problem.hint, problem.code)


def _render(report: DoctorReport, terminal: Terminal) -> str:
    """Return the aligned results by host, and a summary."""
    width = max((len(result.name) for result in report.results()), default=0)
    settings = [result for result in report.checks if result.name == "settings"]
    others = [result for result in report.checks if result.name != "settings"]
    blocks = []
    for host, results in [(None, settings), *((host, host.checks) for host in report.hosts), (None, others)]:
        heading = [terminal.style(str(host), bold=True)] if host else []
        blocks.append("\n".join([*heading, *(_line(result, width, terminal) for result in results)]))
    return "\n\n".join([*filter(None, blocks), _summary(report)])


def _line(result: Result, width: int, terminal: Terminal) -> str:
    mark, colour = MARKS[result.status]
    indent = " " * (width + 8)
    text = terminal.wrap(f"{mark:>4}  {result.name:<{width}}  {result.message}", indent)
    if result.hint:
        text += "\n" + terminal.wrap(f"{indent}-> {result.hint}", indent + "   ")
    return terminal.style(text[:4], fg=colour, bold=result.status == "fail") + text[4:]


def _summary(report: DoctorReport) -> str:
    statuses = [result.status for result in report.results()]
    counts = {"failure": statuses.count("fail"), "warning": statuses.count("warning")}
    found = " and ".join(counted(count, noun) for noun, count in counts.items() if count)
    if found:
        return found
    in_order = f"In order: {report.connector}, {counted(len(statuses), 'check')}."
    if not report.not_run:
        return in_order
    return f"{in_order} Not run, as there is nothing to check: {', '.join(report.not_run)}."
