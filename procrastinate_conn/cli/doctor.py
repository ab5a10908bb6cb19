"""``procrastinate-conn doctor``: what is wrong with the live server."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrastinate_conn.checks.runner import CheckTarget, check, check_configuration, resolve
from procrastinate_conn.cli.options import (
    FAILED,
    Colour,
    Connector,
    EnvFile,
    Isolated,
    Output,
    SecretsDir,
    find_modules_here,
    isolate,
)
from procrastinate_conn.cli.output import standard_output

if TYPE_CHECKING:
    from procrastinate_conn.doctor.report import Diagnosis
    from procrastinate_conn.doctor.runner import Progress


def doctor(
    file: EnvFile = None,
    *,
    connector: Connector = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes of the application, each with a pool of its own.")
    ] = 1,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that all of it may take.")] = 30.0,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    isolated: Isolated = False,
    secrets_dir: SecretsDir = None,
    output: Annotated[Output, typer.Option("--format", help="How results are printed.")] = Output.TEXT,
    color: Colour = None,
) -> None:
    """Find what is wrong with the live server: reachable, TLS, role, schema, LISTEN, pool budget.

    Every host is examined on its own. Nothing is written, but for a NOTIFY on a channel of its own.

    Exit status 0: in order; 1: problems found; 2: wrong usage.
    """
    if isolated:
        isolate()
    find_modules_here()
    diagnosis = diagnose(
        CheckTarget(file, connector, secrets_dir or (), isolated),
        processes=processes,
        seconds=timeout,
        strict=strict,
    )
    where = standard_output(color)
    if output is Output.JSON:
        where.print(json.dumps(document(diagnosis), indent=1))
    else:
        from procrastinate_conn.cli.doctor_text import render

        where.print(render(diagnosis, where))
    if not diagnosis.ok:
        raise typer.Exit(FAILED)


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the JSON document.

    Returns
    -------
    dict
        ``{"ok": true, "connector": "psycopg", "checks": [...], "hosts": [{"host": "db1", "port": "5432",
        "checks": [{"name": "tls", "status": "pass", "message": "...", "hint": "", "value": {...}}]}]}``.
        `status` is ``pass``, ``warning`` or ``fail``; `value` is what the message says, for programs, or
        null. The `checks` outside of `hosts` are of the settings and of the connector.
    """
    return {
        "ok": diagnosis.ok,
        "connector": diagnosis.connector,
        "checks": [asdict(check) for check in diagnosis.checks],
        "hosts": [asdict(host) for host in diagnosis.hosts],
    }


def diagnose(target: CheckTarget, *, processes: int, seconds: float, strict: bool) -> Diagnosis:
    """Check the settings, and if a connector can be built from them, examine the hosts.

    Parameters
    ----------
    target
        What is read as the configuration.
    processes
        Processes of the application.
    seconds
        How long all of it may take.
    strict
        Whether a warning is a failure.
    """
    from procrastinate_conn.doctor import settings
    from procrastinate_conn.doctor.report import Diagnosis
    from procrastinate_conn.doctor.result import failed
    from procrastinate_conn.sources.dsn import ENCODE_PASSWORD

    try:
        configuration = resolve(target)
    except ImportError:  # there is no libpq: `check` has the words for it
        checked = check(target)
        return Diagnosis(checked.connector, list(settings.examine(checked.problems)), strict=strict)
    checked = check_configuration(target, configuration)
    checks = list(settings.examine(checked.problems))
    if configuration.errors:
        unasked = failed("connect", "not tried: there is no connector with such settings", "mend them first")
        return Diagnosis(checked.connector, [*checks, unasked], strict=strict)
    if configuration.connection.redacted_keywords:  # what would be looked up may be a piece of a password
        unasked = failed("connect", "not tried: the DSN's password ends too early", ENCODE_PASSWORD)
        return Diagnosis(checked.connector, [*checks, unasked], strict=strict)
    from procrastinate_conn.doctor.runner import examine

    logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())  # a line says it, once
    with progress() as tell:
        hosts, more = examine(
            configuration.connector_config(), processes=processes, seconds=seconds, progress=tell
        )
    return Diagnosis(checked.connector, [*checks, *more], hosts, strict=strict)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show on a terminal what is being done; on standard error, since results go to standard output."""
    if not sys.stderr.isatty():
        yield lambda _doing: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("") as status:
        yield lambda doing: status.update(escape(doing))
