"""The Makefile, CI, the tools' settings and the contributors' pages name files and functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "procrastinate_conn"

PATH = re.compile(r"\b(?:benchmarks|docs|examples|procrastinate_conn|settings|tests)/[\w./*-]*[\w*/]")
BUILD_FILES = (".ci/run", "Makefile", "pyproject.toml", "tests/postgres_versions/run.py")
ONLY_IN_THE_WHEEL = {"procrastinate_conn/demo/settings"}

QUOTED_PATH = re.compile(r"`([\w./]+(?:/|\.py))`")
QUOTED_FUNCTION = re.compile(r"`(?:\w+\.)*(\w+)\(\)`")
PAGES = ("CONTRIBUTING.md", "docs/architecture.md")


@pytest.mark.parametrize("name", BUILD_FILES)
def test_every_path_in_a_build_file_exists(name: str) -> None:
    paths = set(PATH.findall((ROOT / name).read_text(encoding="utf-8"))) - ONLY_IN_THE_WHEEL
    assert paths
    assert not [path for path in paths if not list(ROOT.glob(path.removesuffix("/")))]


@pytest.mark.parametrize("name", PAGES)
def test_every_module_and_function_in_a_page_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = set(QUOTED_PATH.findall(text))
    assert paths
    assert not [path for path in paths if not _exists(path)]
    source = "\n".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    functions = set(QUOTED_FUNCTION.findall(text)) - {"defer"}  # which is procrastinate's
    assert not [name for name in functions if not re.search(rf"\b(?:def|class) {name}\b", source)]


def _exists(path: str) -> bool:
    """Return whether a path exists in the repository, or in any folder of the package."""
    return (ROOT / path).exists() or any(PACKAGE.rglob(path.removesuffix("/")))
