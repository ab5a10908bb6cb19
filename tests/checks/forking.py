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
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import typer.main

from procrastinate_conn.cli import app, main

IMPORTED = (
    "dotenv.main",
    "procrastinate_conn.configuration",
    "procrastinate_conn.checks.deduplication",
    "procrastinate_conn.cli.formats.sarif",
    "procrastinate_conn.cli.formats.text",
    "procrastinate_conn.schema",
    "procrastinate_conn.cli.show_text",
    "procrastinate_conn.doctor.runner",
    "psycopg",
    "psycopg2",
    "psycopg_pool",
    "rich.console",
    "typer.rich_utils",
)
"""What the command imports only where it needs it; nothing is called before the fork."""


def run_forked(
    folder: Path, arguments: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command in a child that has all imports already.

    Parameters
    ----------
    folder
        The working directory.
    arguments
        What follows the command's name.
    environment
        All of the child's environment.
    """
    with TemporaryDirectory() as outputs:
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        wanted = {"folder": str(folder), "arguments": arguments, "environment": environment}
        server.stdin.write(json.dumps({**wanted, "outputs": outputs}) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        stdout, stderr = (Path(outputs, name).read_text("utf-8") for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(arguments, status, stdout, stderr)


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
    """Fork a child for each line of standard input, and answer with its exit status."""
    for module in IMPORTED:
        import_module(module)
    # Half of a short command is the making of all commands' options: that is done once, too.
    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(app)
    gc.freeze()
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if not child:
            _be_the_command(wanted["folder"], wanted["arguments"], wanted["environment"], wanted["outputs"])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_the_command(folder: str, arguments: list[str], environment: dict[str, str], outputs: str) -> None:
    """Do what ``python -m procrastinate_conn`` does in a process of its own, and end."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, stream in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{outputs}/{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["procrastinate-conn", *arguments]
    sys.path[:] = [folder, *environment["PYTHONPATH"].split(os.pathsep), *sys.path]
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
    os._exit(status)


if __name__ == "__main__":
    serve()
