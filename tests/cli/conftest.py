"""Fixtures of the command line's tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.sandbox import TIMEOUT, Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty folder with a short path, which leaves room for the path of a Unix socket."""
    home = Path(tempfile.mkdtemp(prefix="demo-"))
    sandbox = Sandbox(home / "tmp")
    sandbox.folder.mkdir()
    yield sandbox
    for process in sandbox.processes:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=TIMEOUT)
    shutil.rmtree(home)
