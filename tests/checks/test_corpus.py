"""Every case of the corpus has the expected findings, with code, setting, file and line, and no other."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from procrastinate_conn.checks.catalogue import all_rules
from tests.checks.running import SECRET, lay_out, run_all
from tests.installed import needs

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(folder.name for folder in CORPUS.iterdir())
WITH_SECRETS = {
    name
    for name in NAMES
    if any(SECRET.encode() in file.read_bytes() for file in (CORPUS / name).rglob("*") if file.is_file())
}
FORMATS = ("text", "github", "gitlab", "sarif")


def read_case(name: str) -> dict[str, Any]:
    case = parse_case(name)
    needs(*case.get("needs", ()))
    return case


def parse_case(name: str) -> dict[str, Any]:
    return tomllib.loads((CORPUS / name / "case.toml").read_text())


@pytest.mark.subprocess
@pytest.mark.parametrize("name", NAMES)
def test_check_finds_exactly_the_expected_problems_and_prints_no_secret(name: str, tmp_path: Path) -> None:
    case = read_case(name)
    lay_out(CORPUS / name, tmp_path, case.get("modes", {}))
    arguments = case.get("arguments", ())
    commands = [["check", "--format", "json", *arguments]]
    if name in WITH_SECRETS:
        commands += [["check", "--format", output, *arguments] for output in FORMATS]
        commands += [["show", "--all", "--format", output, *arguments] for output in ("text", "json")]
    hidden = case.get("hidden_modules", ())
    done, *others = run_all(tmp_path, commands, case.get("environment", {}), hidden)
    expected = case.get("finding", [])
    for each in (done, *others):
        printed = each.stdout + each.stderr
        assert "Traceback" not in printed
        assert SECRET not in printed.replace(f"{SECRET}\n", "", _printed_by_modules(name))
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


def _relative(file: str | None, folder: Path) -> str | None:
    return file if file is None else file.removeprefix(f"{folder}/")


def _printed_by_modules(name: str) -> int:
    """Return how many lines a module of the case prints by itself, which is its own affair."""
    return sum(file.read_text().count(f'print("{SECRET}")') for file in (CORPUS / name).glob("*.py"))


def test_case_has_a_description_and_findings_unless_its_name_is_in_order() -> None:
    cases = {name: parse_case(name) for name in NAMES}
    assert all(case["about"] for case in cases.values())
    good = {name for name, case in cases.items() if not case.get("finding")}
    assert good == {name for name in NAMES if name.startswith("in-order")}


def test_corpus_breaks_every_rule_that_files_and_variables_can_break() -> None:
    broken = {finding["code"] for name in NAMES for finding in parse_case(name).get("finding", [])}
    # Sources in Python, and other versions of psycopg_pool break these; see test_rules.
    assert all_rules().keys() - broken == {"PC116", "PC310", "PC311"}
