"""``procrastinate-conn doctor``: what is wrong with the live server."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrastinate_conn.checks import runner
from procrastinate_conn.cli import options
from procrastinate_conn.cli.doctor_text import render
from procrastinate_conn.cli.output import standard_output
from procrastinate_conn.doctor.report import (
    DoctorReport,
    HostReport,
    Result,
    failed,
    passed,
    settings_results,
)
from procrastinate_conn.registry import REGISTRY
from procrastinate_conn.setting_names import DEFAULT_NAMES
from procrastinate_conn.similarity import nearest

if TYPE_CHECKING:  # imported late, so that the other commands start fast
    from procrastinate_conn.connectors.config import ConnectorConfig


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
    options.prepare_process(isolated=isolated)
    terminal = standard_output(color)
    target = options.single_target(
        file, connector, secrets_dir, isolated=isolated, prefix=prefix, settings=settings
    )
    selected, ignored = options.split_commas(select), options.split_commas(ignore)
    with options.internal_error(target.name):
        report = diagnose(
            target,
            processes=processes,
            seconds=timeout,
            strict=strict,
            selected=selected,
            ignored=ignored,
        )
        is_json = output is options.OutputFormat.JSON
        text = json.dumps(_document(report), indent=1) if is_json else render(report, terminal)
    terminal.print(text)
    if not report.ok:
        raise typer.Exit(options.PROBLEMS_FOUND)


def _document(report: DoctorReport) -> dict[str, Any]:
    """Return the JSON document.

    Returns
    -------
    dict
        ``{"ok": true, "connector": "psycopg", "checks": [...], "hosts": [{"host": "db1", "port": "5432",
        "checks": [{"name": "tls", "status": "pass", "message": "...", "hint": "", "value": {...}}]}],
        "not_run": []}``.
        `status` is ``pass``, ``warning`` or ``fail``; `value` is the message for programs, or null. The
        `checks` outside of `hosts` are of the settings and of the connector. A host on which workers only
        listen has ``"listen": true``. Selected checks without a result are in `not_run`.
    """
    return {
        "ok": report.ok,
        "connector": report.connector,
        "checks": [asdict(check) for check in report.checks],
        "hosts": [asdict(host) for host in report.hosts],
        "not_run": report.not_run,
    }


def diagnose(
    target: runner.CheckTarget,
    *,
    processes: int,
    seconds: float,
    strict: bool,
    selected: Collection[str] = (),
    ignored: Collection[str] = (),
) -> DoctorReport:
    """Check the settings, and then the hosts if a connector can be built, in a limited number of seconds.

    A check that fails is reported although it was not selected, unless it is ignored: the selected ones need
    it.
    """
    result = runner.check_target(target)
    configuration, checks = result.configuration, settings_results(result.problems)
    names = DEFAULT_NAMES if configuration is None else configuration.names
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
        checks.append(failed("connect", message, "correct them first"))
    elif configuration and configuration.redacted_keywords:
        from procrastinate_conn.sources.dsn import ENCODE_PASSWORD

        # The resolver would be sent a piece of the password.
        checks.append(failed("connect", "not tried: the DSN's password ends too early", ENCODE_PASSWORD))
    elif configuration and not REGISTRY[configuration.settings.kind].has_server:
        checks.append(passed("connect", f"the {result.connector} connector has no server to check"))
    elif configuration:
        hosts, of_connector = _check_server(configuration.connector_config(), processes, seconds, is_wanted)
        checks += of_connector
    hosts = [replace(host, checks=reported(host.checks)) for host in hosts]
    report = DoctorReport(result.connector, reported(checks), hosts, strict=strict)
    run = {each.name for each in report.results()}
    return replace(report, not_run=[name for name in selected if name not in run])


def _check_server(
    config: ConnectorConfig, processes: int, seconds: float, wanted: Callable[[str], bool]
) -> tuple[list[HostReport], list[Result]]:
    """Check every host and the connector; on a terminal, show the progress on standard error."""
    from rich.console import Console
    from rich.markup import escape

    from procrastinate_conn.doctor.runner import run

    logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())  # the report has its errors
    with Console(stderr=True, force_terminal=sys.stderr.isatty()).status("") as status:
        return run(
            config,
            processes=processes,
            seconds=seconds,
            progress=lambda step: status.update(escape(step)),
            wanted=wanted,
        )
