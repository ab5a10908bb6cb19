"""The oldest versions that are allowed are the ones that are tried."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]


def versions(lines, sign):
    """Return name to version of the lines that pin one."""
    found = (re.match(rf"([\w-]+)(?:\[\w+\])?{sign}([\d.]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def same(version):
    """Return a version so that 3 and 3.0.0 are equal."""
    return re.sub(r"(\.0)+$", "", version)


def test_every_lower_bound_is_the_version_that_the_suite_runs_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    bounds = versions([*project["dependencies"], *extras], ">=")
    tried = versions((ROOT / "tests/lowest.txt").read_text().splitlines(), "==")
    assert {name: same(version) for name, version in tried.items()} == {
        name: same(version) for name, version in bounds.items()
    }
