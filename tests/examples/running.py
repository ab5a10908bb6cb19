"""The examples as a user runs them: in a copy, with the commands of ``examples/README.md``."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.servers import wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TIMEOUT = 60.0
"""Seconds for a command or a request."""

ASSIGNMENT = re.compile(r"[A-Z_]+=")
DOTENV = re.compile(r"echo '([A-Z_]+)=([\w+]+)://[^']*' > \.env")
NOT_RUN = ("cd ", "pip install ", "echo ")
"""Beginnings of the commands that `copy` replaces."""


@dataclass
class Example:
    """A copy of an example, its section's commands in the README, and the number of those started so far."""

    folder: Path
    commands: list[str]
    started: int = 0

    def run(self, command: str, status: int = 0) -> str:
        """Run a command to its end, and return its output."""
        words, environment = prepared(command)
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    @contextmanager
    def running(self, command: str) -> Iterator[Running]:
        """Run a command while the block runs, and then stop it like Ctrl-C."""
        words, environment = prepared(command)
        self.started += 1
        output = self.folder / f"output-{self.started}"
        with output.open("w") as stream:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Running(process, output)
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(TIMEOUT)
                finally:
                    process.kill()


@dataclass
class Running:
    """A running command, and the file with its output."""

    process: subprocess.Popen[bytes]
    output: Path

    def wait_for(self, text: str) -> None:
        """Wait until the output contains a text."""

        def printed() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return text in self.output.read_text()

        wait_until(printed, TIMEOUT)


def copy(name: str, folder: Path, server: EmbeddedPostgres) -> Example:
    """Copy an example, and write its ``.env`` with the address of an empty database."""
    shutil.copytree(
        EXAMPLES / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".env")
    )
    section = (EXAMPLES / "README.md").read_text(encoding="utf-8").split(f"## {name}\n")[1].split("\n## ")[0]
    lines = [line.removeprefix("$ ") for line in section.splitlines() if line.startswith("$ ")]
    for line in lines:
        if setting := DOTENV.fullmatch(line):
            (folder / ".env").write_text(f"{setting[1]}={url(server, setting[2])}\n")
    return Example(folder, [line for line in lines if not line.startswith(NOT_RUN)])


def url(server: EmbeddedPostgres, scheme: str = "postgresql") -> str:
    """Return the URL of a new, empty database."""
    return f"{scheme}://{server.user}@{server.host}:{server.port}/{server.create_database()}"


def prepared(command: str) -> tuple[list[str], dict[str, str]]:
    """Return the words of a command, and the environment with the variables that precede them."""
    words = shlex.split(command, comments=True)
    variables = {}
    while ASSIGNMENT.match(words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    return words, {**os.environ, "PATH": path, **variables}


def request(address: str, data: bytes | None = None) -> str:
    """Send a request, a POST if there is data, and return the body of the response."""
    with urllib.request.urlopen(f"http://127.0.0.1:{address}", data, timeout=TIMEOUT) as response:
        return response.read().decode()
