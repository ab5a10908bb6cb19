"""The worker and the deferrer run as they stand, as two processes, on any connector that can."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.kinds import FACTS, ConnectorKind

EXAMPLE = Path(__file__).parents[2] / "examples" / "worker_and_deferrer"
WORKERS = [kind for kind in ConnectorKind if FACTS[kind].asynchronous]


@pytest.fixture
def folder(tmp_path: Path, server: EmbeddedPostgres) -> Path:
    """A copy of the example, with an ``.env`` that names an empty database."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".env").write_text(f"PROCRASTINATE_CONN_DSN={server.dsn(server.create_database())}\n")
    return tmp_path


def run(folder: Path, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("worker", "deferrer"),
    [*((WORKERS[0], deferrer) for deferrer in ConnectorKind), *((worker, worker) for worker in WORKERS[1:])],
)
def test_what_one_process_defers_the_other_works(
    folder: Path, worker: ConnectorKind, deferrer: ConnectorKind
) -> None:
    run(folder, "-m", "procrastinate", "--app", "tasks.app", "schema", "--apply")
    working = subprocess.Popen(
        [sys.executable, "worker.py"],
        cwd=folder,
        env={**os.environ, "PROCRASTINATE_CONN_CONNECTOR": worker},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deferred = run(folder, "defer.py", PROCRASTINATE_CONN_CONNECTOR=deferrer)
        assert working.stdout is not None
        worked = [working.stdout.readline() for _ in range(5)]
        working.send_signal(signal.SIGINT)
        rest, _ = working.communicate(timeout=60)
    finally:
        working.kill()
        working.wait()

    assert deferred.count("deferred job") == 5
    assert worked == [f"{number} x 7 = {number * 7}\n" for number in range(1, 6)]
    assert (rest, working.returncode) == ("", 0)
