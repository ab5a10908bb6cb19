"""Options and exit statuses that several commands share."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from procrastinate_conn import suggestions
from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.checks.runner import PREFIX, CheckTarget
from procrastinate_conn.entry_points import UnusableKind
from procrastinate_conn.imports import OBJECT_PATH
from procrastinate_conn.registry import ConnectorKind, installed_kinds
from procrastinate_conn.setting_names import DEFAULT_NAMES
from procrastinate_conn.tracebacks import raised_at

PROBLEMS_FOUND = 1
USAGE_ERROR = 2
INTERNAL_ERROR = 3
"""The exit statuses of failures."""


def parse_kind(name: str) -> ConnectorKind:
    """Parse a kind as settings do: its name or that of procrastinate's class, in any case."""
    try:
        return ConnectorKind(name)
    except UnusableKind as error:
        raise typer.BadParameter(f"{error}; {error.hint}") from None
    except ValueError:
        raise typer.BadParameter(f"there is no connector {name!r}; {suggestions.connector(name)}") from None


def complete_kind(incomplete: str) -> list[str]:
    """Complete a kind for the shell."""
    return [kind.value for kind in installed_kinds() if kind.startswith(incomplete.lower())]


def complete_codes(incomplete: str) -> list[tuple[str, str]]:
    """Complete the code of a rule for the shell."""
    return [(c, rule.title) for c, rule in all_rules().items() if c.startswith(incomplete.upper())]


def parse_prefix(prefix: str) -> str:
    """Validate the prefix of variables."""
    if not PREFIX.fullmatch(prefix):
        raise typer.BadParameter(f"{prefix!r} is no prefix of a variable; write letters, digits and _")
    return prefix


def parse_object_path(path: str) -> str:
    """Validate the form of ``package.module:object``."""
    if not re.fullmatch(OBJECT_PATH, path):
        raise typer.BadParameter(f"write {path!r} as package.module:object, such as myapp.conf:settings")
    return path


def split_commas(values: Sequence[str] | None) -> tuple[str, ...]:
    """Return what an option lists, which may be repeated."""
    return tuple(",".join(values).split(",")) if values else ()


class OutputFormat(StrEnum):
    """The formats of commands other than `check`."""

    TEXT = "text"
    JSON = "json"


Connector = Annotated[
    ConnectorKind | None,
    typer.Option(
        "--connector",
        metavar="KIND",
        parser=parse_kind,
        autocompletion=complete_kind,
        help="Use this connector instead of the configured one.",
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE.env]",
        readable=False,
        show_default=False,
        help="An env file. Default: the environment and ./.env.",
    ),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Ignore the process environment.")]
SecretsDir = Annotated[
    list[Path] | None,
    typer.Option(
        "--secrets-dir", metavar="DIRECTORY", readable=False, help="A directory with a file for each setting."
    ),
]
prefix_option = partial(typer.Option, "--prefix", metavar="PREFIX_", parser=parse_prefix, show_default=False)
Prefix = Annotated[
    str | None, prefix_option(help="What the variables begin with. Default: PROCRASTINATE_CONN_.")
]
settings_option = partial(
    typer.Option,
    "--settings",
    metavar="MODULE:OBJECT",
    parser=parse_object_path,
    help="Settings in Python instead: a ConnectorSettings subclass, an instance, a function that returns one,"
    " or an attribute of those.",
)
Settings = Annotated[str | None, settings_option()]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 on warnings as well.")]
FORMAT = typer.Option("--format", help="The output format.")
Format = Annotated[OutputFormat, FORMAT]
Colour = Annotated[
    bool | None,
    typer.Option("--color/--no-color", help="Default: colours on a terminal, unless NO_COLOR is set."),
]


def prepare_process(*, isolated: bool) -> None:
    """Set up this process for reading settings.

    Settings may name functions in modules of the working directory, from where the application imports
    them too. If `isolated`, the variables about a connection are removed: libpq reads its own by itself.
    """
    import_from(Path.cwd())
    if isolated:
        for name in list(os.environ):
            if DEFAULT_NAMES.is_setting(name) or name.upper().startswith("PG"):
                del os.environ[name]


def import_from(folder: Path) -> None:
    """Let modules be imported from a folder, after all others."""
    if (path := str(folder.absolute())) not in sys.path:
        sys.path.append(path)


def single_target(
    file: Path | None,
    connector: ConnectorKind | None,
    secrets_dir: list[Path] | None,
    *,
    isolated: bool,
    prefix: str | None,
    settings: str | None,
) -> CheckTarget:
    """Return the one configuration that a command reads, in a process that is set up for it."""
    prepare_process(isolated=isolated)
    others = {"the env file": file, "--secrets-dir": secrets_dir, "--prefix": prefix}
    reject_beside_settings(settings, others)
    return CheckTarget(file, connector, secrets_dir or (), isolated, prefix, settings)


def reject_beside_settings(settings: str | None, others: Mapping[str, object]) -> None:
    """Reject arguments that settings in Python would ignore: they have sources of their own."""
    given = [name for name, value in others.items() if value]
    if settings and given:
        message = f"{settings} has sources of its own: leave out {' and '.join(given)}, or --settings"
        raise typer.BadParameter(message, param_hint="'--settings'")


@contextmanager
def internal_error(subject: str) -> Iterator[None]:
    """Report an unexpected exception in one line: its text or traceback could contain a secret."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        cause, advice = f"{type(error).__name__} at {raised_at(error)}", "this is a bug: please report it"
        typer.echo(f"{subject} cannot be checked: {cause}; {advice}", err=True)
        raise typer.Exit(INTERNAL_ERROR) from None
