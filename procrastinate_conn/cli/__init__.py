"""The command line, ``procrastinate-conn``: a module for each command, registered here."""

from __future__ import annotations

import io
import re
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from procrastinate_conn.cli.check import check
from procrastinate_conn.cli.connectors import connectors
from procrastinate_conn.cli.demo import demo
from procrastinate_conn.cli.doctor import doctor
from procrastinate_conn.cli.rule import rule
from procrastinate_conn.cli.schema import schema
from procrastinate_conn.cli.show import show
from procrastinate_conn.files import is_connection_string

app = typer.Typer(
    name="procrastinate-conn",
    help="Describe the PostgreSQL connection once; get any of procrastinate's five connectors.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # they show local variables, and with them secrets
)
app.command()(check)
app.command()(show)
app.command()(doctor)
app.command()(rule)
app.command()(connectors)
app.command()(schema)
app.command()(demo)


def show_version(asked: bool) -> None:
    """Print the version, and end."""
    if asked:
        typer.echo(version("procrastinate-conn"))
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that stand before the command."""


WRONG_USAGE = 2
NOT_TAKEN = (
    "An argument is a connection string, which no command takes: other users of this machine can read it, and"
    " logs keep it. Set PROCRASTINATE_CONN_DSN to it, in the environment or in an env file."
)


def main() -> None:
    """Run the command line, unless an argument is a connection string: what is wrong with it is repeated."""
    if any(is_connection_string(re.sub(r"\A--[\w-]+=", "", argument)) for argument in sys.argv[1:]):
        sys.stderr.write(f"{NOT_TAKEN}\n")
        sys.exit(WRONG_USAGE)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot encode, bytes of a variable among others
            stream.reconfigure(errors="backslashreplace")
    app()
