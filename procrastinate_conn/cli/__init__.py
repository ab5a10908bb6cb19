"""The command line, ``procrastinate-conn``: a module for each command, registered here."""

from __future__ import annotations

import io
import re
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from procrastinate_conn.cli import options
from procrastinate_conn.cli.check import check
from procrastinate_conn.cli.connectors import connectors
from procrastinate_conn.cli.demo import demo
from procrastinate_conn.cli.doctor import doctor
from procrastinate_conn.cli.rule import rule
from procrastinate_conn.cli.schema import schema
from procrastinate_conn.cli.show import show
from procrastinate_conn.redaction import is_connection_string

app = typer.Typer(
    name="procrastinate-conn",
    help="Describe the PostgreSQL connection once; get any of procrastinate's connectors.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # they show local variables, and with them secrets
)
for command in (check, show, doctor, rule, connectors, schema, demo):
    app.command()(command)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(version("procrastinate-conn"))
        raise typer.Exit


@app.callback()
def common_options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that precede the command."""


def main() -> None:
    """Run the command line.

    An argument that is a connection string is rejected first: Typer repeats an invalid argument in its
    message, and with it the password.
    """
    if any(is_connection_string(re.sub(r"\A--[\w-]+=", "", argument)) for argument in sys.argv[1:]):
        sys.stderr.write(
            "An argument is a connection string, which no command takes: other users of this machine can read"
            " it, and logs keep it. Set PROCRASTINATE_CONN_DSN to it, in the environment or in an env file.\n"
        )
        sys.exit(options.USAGE_ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a variable may hold bytes that it cannot encode
            stream.reconfigure(errors="backslashreplace")
    app()
