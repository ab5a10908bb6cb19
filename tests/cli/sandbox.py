"""The command in a process of its own, with a temporary directory that tests can inspect."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

T = TypeVar("T")
COMMAND = (sys.executable, "-m", "procrastinate_conn")
TIMEOUT = 60.0
"""Seconds that a process may take."""


@dataclass
class Sandbox:
    """A folder for all temporary files of the processes started in it."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder.parent,
            env={**os.environ, "TMPDIR": str(self.folder), "COLUMNS": "80", **variables},
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **variables)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def left_behind(self) -> list[str]:
        """Return the files in the folder, and the command lines that mention it."""
        files = [str(path) for path in self.folder.rglob("*")]
        commands = [" ".join(info.info["cmdline"] or ()) for info in psutil.process_iter(["cmdline"])]
        return files + [command for command in commands if str(self.folder) in command]

    def connect_to_demo(self) -> psycopg.Connection | None:
        """Return a connection to the database of the demo that runs, or None while there is none."""
        for socket in self.folder.glob("pgconn-*/.s.PGSQL.*[0-9]"):
            address = make_conninfo(
                host=str(socket.parent), port=socket.suffix[1:], user="postgres", dbname="jobs"
            )
            try:
                return psycopg.connect(address, autocommit=True, connect_timeout=5)
            except psycopg.OperationalError:
                return None
        return None


def wait_until(condition: Callable[[], T], timeout: float = TIMEOUT) -> T:
    """Return the first true result of `condition`, which is called repeatedly."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise TimeoutError(f"{condition} stayed false for {timeout} s")
