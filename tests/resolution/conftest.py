"""A home directory for libpq's files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory, in which a test writes the files that it is about."""
    return tmp_path_factory.mktemp("home")
