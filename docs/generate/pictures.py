"""Pictures of the commands' output, which Rich exports as SVG."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 110
"""Columns of the terminal."""

FAULTY = """\
PROCRASTINATE_CONN_CONNECTOR=aiopg
PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs
PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre
PROCRASTINATE_CONN_POOL__MIN_SZIE=2
PROCRASTINATE_CONN_POOL__MAX_SIZE=8
PROCRASTINATE_CONN_PASSWORD_FILE=/etc/jobs/password
PGHSOT=localhost
"""

VALID = """\
PROCRASTINATE_CONN_CONNECTOR=aiopg
PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs
PROCRASTINATE_CONN_CONNECTION__SSLMODE=verify-full
PROCRASTINATE_CONN_POOL__MAX_SIZE=8
PROCRASTINATE_CONN_POOL__TIMEOUT=60s
PGSSLROOTCERT=system
"""

PICTURES = {"check.svg": (FAULTY, "check prod.env"), "show.svg": (VALID, "show prod.env")}
"""The content of ``prod.env`` and the command, for each picture."""


def printed(name: str) -> str:
    """Run the command of a picture, and return its output, with colours."""
    env, command = PICTURES[name]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "prod.env").write_text(env, encoding="utf-8")
        environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        words = [sys.executable, "-m", "procrastinate_conn", *command.split(), "--isolated", "--color"]
        done = subprocess.run(  # noqa: S603 - our own command
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=False
        )
    return done.stdout


def picture(name: str) -> str:
    """Return a picture as SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text(f"$ procrastinate-conn {PICTURES[name][1]}", style="bold"))
    console.print(Text.from_ansi(printed(name)))
    return console.export_svg(
        title=f"procrastinate-conn {PICTURES[name][1]}", unique_id=name.partition(".")[0]
    )
