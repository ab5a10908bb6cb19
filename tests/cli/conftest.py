"""What the tests of the command line share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.sandbox import PATIENCE, Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty folder with a short name, for the path of a Unix socket has to fit in."""
    home = Path(tempfile.mkdtemp(prefix="demo-"))
    sandbox = Sandbox(home / "tmp")
    sandbox.folder.mkdir()
    yield sandbox
    for process in sandbox.processes:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    shutil.rmtree(home)
