"""A home directory for libpq's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.resolution.reading import Written


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory, in which a test writes the files that it is about."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """An empty working directory, home and environment."""
    return Written(tmp_path, monkeypatch)
