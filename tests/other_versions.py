"""Other versions of the drivers than those installed, for tests of what only some versions do.

``make`` fetches them with ``python -m tests.other_versions`` when it installs the package: no test does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installed import unmet

FOLDER = Path(sys.prefix) / "other-versions"
DISTRIBUTIONS = {
    "psycopg<3.3": ["psycopg>=3.2,<3.3", "psycopg-binary>=3.2,<3.3"],
    "psycopg-pool<3.3": ["psycopg-pool>=3.2,<3.3"],
    "psycopg-pool>=3.3": ["psycopg-pool>=3.3"],
}
"""The distributions that meet a requirement together, each fetched into a folder of its own."""


def other_versions(*requirements: str) -> list[Path]:
    """Return the folders to import from first to meet the requirements; skip the test if one is missing."""
    folders = [FOLDER / requirement for requirement in unmet(requirements)]
    for folder in folders:
        if not folder.exists():
            pytest.skip(f"{folder.name} is not here: python -m tests.other_versions fetches it")
    return folders


def fetch() -> None:
    """Fetch what is neither installed nor there yet; a version that this Python does not have is left out."""
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    for requirement in unmet(DISTRIBUTIONS):
        folder = FOLDER / requirement
        if not folder.exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
            command = [*pip, "--target", folder, *DISTRIBUTIONS[requirement]]
            subprocess.run(command, env=environment, check=False)


if __name__ == "__main__":
    fetch()
