"""A quick run leaves out marked tests, and fails an unmarked test that starts a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = ("-m", "not server and not subprocess")

TESTS = """
import os
import subprocess

import pytest


def test_without_a_process():
    pass


def test_unmarked_process():
    subprocess.run(["true"], check=True)


def test_unmarked_fork():
    if not os.fork():
        os._exit(0)


@pytest.mark.subprocess
def test_marked_process():
    subprocess.run(["true"], check=True)


def test_server(server):
    pass
"""


@pytest.mark.subprocess
def test_quick_run_fails_an_unmarked_test_that_starts_a_process(tmp_path: Path) -> None:
    (tmp_path / "test_processes.py").write_text(TESTS)
    options = [
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "-q",
        "--strict-markers",
    ]
    markers = ["-o", "markers=server\nsubprocess"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path), *markers, *QUICK, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 failed, 1 passed, 2 deselected" in done.stdout
    assert "mark the test with pytest.mark.subprocess" in done.stdout
