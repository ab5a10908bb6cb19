"""`make lowest` tests the lower bounds of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]


def versions(lines, sign):
    """Return the versions by name, of the lines that have one."""
    found = (re.match(rf"([\w-]+)(?:\[\w+\])?{sign}([\d.]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def normalized(version):
    """Return a version without zeros at its end, so that 3 and 3.0.0 are equal."""
    return re.sub(r"(\.0)+$", "", version)


def test_lowest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    bounds = versions([*project["dependencies"], *extras], ">=")
    tried = versions((ROOT / "tests/lowest.txt").read_text().splitlines(), "==")
    assert {name: normalized(version) for name, version in tried.items()} == {
        name: normalized(version) for name, version in bounds.items()
    }
