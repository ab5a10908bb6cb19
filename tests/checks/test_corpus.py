"""Every case of the corpus has the expected findings, with code, setting, file and line, and no other."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from procrastinate_conn.checks.catalogue import all_rules
from tests.checks.running import SECRET, lay_out, run
from tests.installed import needs

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(folder.name for folder in CORPUS.iterdir())


def read_case(name: str) -> dict[str, Any]:
    case = parse_case(name)
    needs(*case.get("needs", ()))
    return case


def parse_case(name: str) -> dict[str, Any]:
    return tomllib.loads((CORPUS / name / "case.toml").read_text())


def check(name: str, folder: Path, *arguments: str) -> tuple[dict[str, Any], Any]:
    case = read_case(name)
    lay_out(CORPUS / name, folder, case.get("modes", {}))
    done = run(
        folder,
        "check",
        *case.get("arguments", ()),
        *arguments,
        environment=case.get("environment", {}),
        hidden=case.get("hidden_modules", ()),
    )
    return case, done


@pytest.mark.subprocess
@pytest.mark.parametrize("name", NAMES)
def test_check_finds_exactly_the_expected_problems(name: str, tmp_path: Path) -> None:
    case, done = check(name, tmp_path, "--format", "json")
    expected = case.get("finding", [])
    assert "Traceback" not in done.stderr
    [configuration] = json.loads(done.stdout)["configurations"]

    found = [
        {
            "code": problem["code"],
            "setting": problem["setting"],
            "file": (problem["origin"] or {}).get("file"),
            "line": (problem["origin"] or {}).get("line"),
        }
        for problem in configuration["problems"]
    ]
    sources = [
        {"code": e["code"], "setting": e["setting"], "file": e.get("file"), "line": e.get("line")}
        for e in expected
    ]
    assert [{**f, "file": _relative(f["file"], tmp_path)} for f in found] == sources
    for problem, wanted in zip(configuration["problems"], expected, strict=True):
        assert wanted.get("hint", "") in problem["hint"]
        assert problem["severity"] == wanted.get("severity", all_rules()[problem["code"]].severity)
    has_errors = any(problem["severity"] == "error" for problem in configuration["problems"])
    assert done.returncode == (1 if has_errors else 0)
    assert configuration["ok"] == (not has_errors)
    assert SECRET not in done.stdout + done.stderr.replace(f"{SECRET}\n", "", _printed_by_modules(name))


def _relative(file: str | None, folder: Path) -> str | None:
    return file if file is None else file.removeprefix(f"{folder}/")


def _printed_by_modules(name: str) -> int:
    """Return how many lines a module of the case prints by itself, which is its own affair."""
    return sum(file.read_text().count(f'print("{SECRET}")') for file in (CORPUS / name).glob("*.py"))


WITH_SECRETS = [
    name
    for name in NAMES
    if any(SECRET.encode() in file.read_bytes() for file in (CORPUS / name).rglob("*") if file.is_file())
]


@pytest.mark.subprocess
@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process for each command would take minutes")
@pytest.mark.parametrize("name", WITH_SECRETS)
def test_no_command_prints_a_secret_of_the_corpus(name: str, tmp_path: Path) -> None:
    case = read_case(name)
    lay_out(CORPUS / name, tmp_path, case.get("modes", {}))
    commands = [["check", "--format", output] for output in ("text", "github", "gitlab", "sarif")]
    commands += [["show", "--all", "--format", output] for output in ("text", "json")]
    for command in commands:
        done = run(tmp_path, *command, *case.get("arguments", ()), environment=case.get("environment", {}))
        printed = done.stdout + done.stderr
        assert "Traceback" not in printed
        assert SECRET not in printed.replace(f"{SECRET}\n", "", _printed_by_modules(name))


@pytest.mark.parametrize("name", NAMES)
def test_case_has_a_description_and_findings_unless_its_name_is_in_order(name: str) -> None:
    case = parse_case(name)
    assert case["about"]
    assert bool(case.get("finding")) != name.startswith("in-order")


def test_corpus_breaks_every_rule_that_files_and_variables_can_break() -> None:
    broken = {finding["code"] for name in NAMES for finding in parse_case(name).get("finding", [])}
    # Sources in Python, and other versions of psycopg_pool break these; see test_rules.
    assert all_rules().keys() - broken == {"PC116", "PC310", "PC311"}
