"""A process that has imported the command, and forks a child for each run of it.

Starting Python and importing everything takes ten times as long as what most tests look at.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import typer.main

from procrastinate_conn import libpq
from procrastinate_conn.checks.catalogue import all_checks, all_rules
from procrastinate_conn.cli import app, main

IMPORTED = (
    "dotenv.main",
    "procrastinate_conn.configuration",
    *(f"procrastinate_conn.cli.formats.{name}" for name in ("machine", "text")),
    "procrastinate_conn.schema",
    "procrastinate_conn.cli.show_text",
    "procrastinate_conn.doctor.runner",
    "psycopg",
    "psycopg2",
    "psycopg_pool",
    "rich.console",
    "typer.rich_utils",
)
"""What the command imports only where it needs it."""


def run_forked(
    folder: Path, commands: Sequence[Sequence[str]], environment: dict[str, str]
) -> list[subprocess.CompletedProcess[str]]:
    """Run commands, one after the other, in a child that has all imports already.

    Parameters
    ----------
    folder
        The working directory.
    commands
        What follows the command's name, for each.
    environment
        All of the child's environment.
    """
    with TemporaryDirectory() as outputs:
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        wanted = {"folder": str(folder), "commands": commands, "environment": environment}
        server.stdin.write(json.dumps({**wanted, "outputs": outputs}) + "\n")
        server.stdin.flush()
        server.stdout.readline()
        done = []
        for number, arguments in enumerate(commands):
            stdout, stderr, status = (
                Path(outputs, f"{name}{number}").read_text("utf-8") for name in ("stdout", "stderr", "status")
            )
            done.append(subprocess.CompletedProcess(arguments, int(status), stdout, stderr))
    return done


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that forks; it ends when this one does."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.checks.forking"],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def serve() -> None:
    """Fork a child for each line of standard input, and answer when it has ended."""
    for module in IMPORTED:
        import_module(module)
    # Half of a short command is the making of all commands' options: that is done once, and so is the rest
    # that depends on nothing but what is installed.
    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(app)
    all_rules(), all_checks(), libpq.keywords(), libpq.variables(), libpq.default_host()
    gc.freeze()
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if not child:
            _be_the_command(wanted["folder"], wanted["commands"], wanted["environment"], wanted["outputs"])
        os.waitpid(child, 0)
        print(flush=True)


def _be_the_command(
    folder: str, commands: list[list[str]], environment: dict[str, str], outputs: str
) -> None:
    """Do what ``python -m procrastinate_conn`` does in a process of its own, and end."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, *environment["PYTHONPATH"].split(os.pathsep), *sys.path]
    for number, arguments in enumerate(commands):
        for descriptor, stream in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(f"{outputs}/{stream}{number}", os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv = ["procrastinate-conn", *arguments]
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:  # noqa: BLE001 - as the interpreter does with it
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        Path(outputs, f"status{number}").write_text(str(status))
    os._exit(0)


if __name__ == "__main__":
    serve()
