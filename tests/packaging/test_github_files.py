"""Files for GitHub, Read the Docs and Docker are valid, and name what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

pytestmark = pytest.mark.subprocess


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", [*WORKFLOWS, *(ROOT / "examples").rglob(".github/workflows/*.yml")]),
        ("github-issue-forms", [*(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]),
        ("readthedocs", [ROOT / ".readthedocs.yaml"]),
        ("compose-spec", [*(ROOT / "examples").rglob("compose.yaml")]),
    ],
)
def test_file_has_the_schema_of_its_reader(schema: str, files: list[Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_workflows_call_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = {
        word
        for workflow in WORKFLOWS
        for line in re.findall(r"run: make (.*)", workflow.read_text(encoding="utf-8"))
        for word in line.split()
        if "=" not in word
    }
    assert {"test", "lint", "lowest", "versions", "faults", "build"} <= called
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in called)


def test_ci_runs_every_supported_python_and_publishing_needs_no_token() -> None:
    ci, release = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in WORKFLOWS)
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(classifiers) <= set(ci["jobs"]["tests"]["strategy"]["matrix"]["python"])
    assert release["jobs"]["publish"]["permissions"] == {"id-token": "write"}


def test_issue_template_asks_for_show_and_doctor() -> None:
    template = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8"))
    labels = {field["attributes"]["label"] for field in template["body"]}
    assert {"procrastinate-conn show", "procrastinate-conn doctor --format json"} <= labels
