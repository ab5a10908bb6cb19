"""Options that several commands have, and what they come to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from procrastinate_conn import suggestions
from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.suggestions import nearest
from procrastinate_conn.tracebacks import raised_at

FAILED = 1
"""The exit status where something is wrong with what was looked at."""

BROKEN = 3
"""The exit status where something is wrong with the command itself."""


def parse_kind(name: str) -> ConnectorKind:
    """Read a kind of connector as settings do: by its name or procrastinate's, in any case."""
    try:
        return ConnectorKind(name)
    except ValueError:
        raise typer.BadParameter(f"there is no connector {name!r}; {suggestions.connector(name)}") from None


def complete_kind(incomplete: str) -> list[str]:
    """Complete the name of a kind for the shell."""
    return [kind.value for kind in ConnectorKind if kind.startswith(incomplete.lower())]


def complete_codes(incomplete: str) -> list[tuple[str, str]]:
    """Complete the code of a rule for the shell."""
    return [(c, rule.title) for c, rule in all_rules().items() if c.startswith(incomplete.upper())]


def suggest_code(code: str) -> str:
    """Return the hint about what is no rule's code; what looks like one was not meant for its neighbour."""
    near = None if re.fullmatch(r"PC[0-9]{3}", code.strip().upper()) else nearest(code, all_rules())
    return f"did you mean {near}?" if near else "`procrastinate-conn rule` lists them"


class Output(StrEnum):
    """How something that is not a list of findings is printed."""

    TEXT = "text"
    JSON = "json"


Connector = Annotated[
    ConnectorKind | None,
    typer.Option(
        "--connector",
        metavar="KIND",
        parser=parse_kind,
        autocompletion=complete_kind,
        help="The connector to assume, in the place of the one that the settings name.",
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE.env]",
        readable=False,
        show_default=False,
        help="An env file. None: the environment and ./.env.",
    ),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Ignore the process environment.")]
SecretsDir = Annotated[
    list[Path] | None,
    typer.Option(
        "--secrets-dir", metavar="DIRECTORY", readable=False, help="A directory with a file for each setting."
    ),
]
Colour = Annotated[
    bool | None,
    typer.Option(
        "--color/--no-color", help="By default there is colour on a terminal, unless NO_COLOR is set."
    ),
]


def isolate() -> None:
    """Forget every variable of this process that says something about a connection.

    libpq reads its variables itself, so it is not enough to leave them out.
    """
    from procrastinate_conn.setting_names import is_setting

    for name in list(os.environ):
        if is_setting(name) or name.upper().startswith("PG"):
            del os.environ[name]


@contextmanager
def internal_error(about: str) -> Iterator[None]:
    """End an error of ours with a line; a traceback would show what was read.

    Parameters
    ----------
    about
        What was being looked at.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        place, ours = raised_at(error), "this is a fault of procrastinate-conn, please report it"
        typer.echo(f"{about} cannot be judged: {type(error).__name__} at {place}; {ours}", err=True)
        raise typer.Exit(BROKEN) from None


def find_modules_here() -> None:
    """Let settings name functions in modules of the working directory, as the application's server does."""
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds text
        sys.path.append(os.getcwd())  # noqa: PTH109
