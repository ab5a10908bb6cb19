"""The formats for programs: JSON, GitHub's workflow commands, GitLab's code quality reports, SARIF."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.checks.runner import CheckResult, CheckTarget
from procrastinate_conn.cli.formats import FindingsFormat, Report
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.libpq import CHOICES
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import ConnectorKind
from tests.checks.running import run

LINES = (
    "PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs\n"
    "PROCRASTINATE_CONN_POOL__MIN_SZIE=3\n"
    "PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre\n"
)

SSLMODES = ", ".join(CHOICES["sslmode"])


GITLAB_SCHEMA = {
    "type": "array",
    "uniqueItems": True,
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "additionalProperties": False,
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "additionalProperties": False,
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": "^\\./"}},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "additionalProperties": False,
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
"""The table of the report format in GitLab's documentation, docs.gitlab.com/ci/testing/code_quality."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "prod.env").write_text(LINES)
    return tmp_path


@pytest.mark.subprocess
def test_json_document_of_check_is_as_documented(folder: Path) -> None:
    done = run(folder, "check", "settings/prod.env", "--format", "json")
    document = json.loads(done.stdout)
    assert document == {
        "ok": False,
        "configurations": [
            {
                "file": "settings/prod.env",
                "prefix": None,
                "settings": None,
                "ok": False,
                "connector": "psycopg",
                "problems": [
                    {
                        "code": "PC301",
                        "severity": "error",
                        "setting": "pool.min_szie",
                        "message": "there is no pool option min_szie",
                        "hint": "did you mean min_size?",
                        "origin": {
                            "source": "dotenv",
                            "name": "PROCRASTINATE_CONN_POOL__MIN_SZIE",
                            "file": "settings/prod.env",
                            "line": 2,
                        },
                    },
                    {
                        "code": "PC205",
                        "severity": "error",
                        "setting": "connection.sslmode",
                        "message": f"libpq rejects sslmode: 'requre' is none of {SSLMODES}",
                        "hint": "did you mean require?",
                        "origin": {
                            "source": "dotenv",
                            "name": "PROCRASTINATE_CONN_CONNECTION__SSLMODE",
                            "file": "settings/prod.env",
                            "line": 3,
                        },
                    },
                ],
            }
        ],
    }


@pytest.mark.subprocess
def test_json_has_every_field_of_a_problem_and_its_origin(folder: Path) -> None:
    document = json.loads(run(folder, "check", "settings/prod.env", "--format", "json").stdout)
    [problem, *_] = document["configurations"][0]["problems"]
    assert list(problem) == [field.name for field in fields(Problem)]
    assert list(problem["origin"]) == [field.name for field in fields(Origin)]


@pytest.mark.subprocess
def test_github_command_names_file_and_line(folder: Path) -> None:
    done = run(folder, "check", "settings/prod.env", "--format", "github", environment={"PGHSOT": "db1"})
    warning, *errors = done.stdout.splitlines()
    assert warning == "::warning title=PC106::libpq does not know PGHSOT (did you mean PGHOST?)"
    assert errors[0] == (
        "::error file=settings/prod.env,line=2,title=PC301::there is no pool option min_szie"
        " (did you mean min_size?)"
    )


def report(*problems: Problem, file: str | None = "a.env") -> Report:
    return Report([CheckResult(CheckTarget(file and Path(file)), ConnectorKind.PSYCOPG, problems)])


AWKWARD = all_rules()["PC301"](
    "pool.x", "50% of\r\nit: a,b", hint="::error::", origin=Origin("dotenv", "X", "a,b:c%.env", 3)
)


def test_github_command_escapes_its_delimiters() -> None:
    assert report(AWKWARD).render(FindingsFormat.GITHUB, Terminal()) == (
        "::error file=a%2Cb%3Ac%25.env,line=3,title=PC301::50%25 of%0D%0Ait: a,b (::error::)"
    )


def test_github_message_begins_with_variable_unless_it_names_it() -> None:
    problem = all_rules()["PC201"]("dsn", "it is wrong", origin=Origin("environment", "DATABASE_URL"))
    assert report(problem).render(FindingsFormat.GITHUB, Terminal()) == (
        "::error title=PC201::DATABASE_URL: it is wrong"
    )


@pytest.mark.subprocess
def test_github_prints_nothing_without_findings(folder: Path) -> None:
    (folder / "settings" / "prod.env").write_text("PROCRASTINATE_CONN_DSN=postgresql://localhost\n")
    done = run(folder, "check", "settings/prod.env", "--format", "github")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def gitlab_report(text: str) -> list[dict[str, Any]]:
    """Return a report that GitLab accepts, with every fingerprint once."""
    issues: list[dict[str, Any]] = json.loads(text)
    Draft202012Validator(GITLAB_SCHEMA).validate(issues)
    fingerprints = [issue["fingerprint"] for issue in issues]
    assert len(set(fingerprints)) == len(fingerprints)
    return issues


@pytest.mark.subprocess
def test_gitlab_report_is_valid_and_has_every_finding(folder: Path) -> None:
    done = run(folder, "check", "settings/prod.env", "--format", "gitlab", environment={"PGHSOT": "db1"})
    assert done.returncode == 1
    found = [
        (i["check_name"], i["severity"], i["location"]["lines"]["begin"], i["description"])
        for i in gitlab_report(done.stdout)
    ]
    assert found == [
        ("PC106", "minor", 1, "libpq does not know PGHSOT (did you mean PGHOST?)"),
        ("PC301", "major", 2, "there is no pool option min_szie (did you mean min_size?)"),
        (
            "PC205",
            "major",
            3,
            f"libpq rejects sslmode: 'requre' is none of {SSLMODES} (did you mean require?)",
        ),
    ]


def test_gitlab_report_without_findings_is_an_empty_array() -> None:
    assert gitlab_report(report().render(FindingsFormat.GITLAB, Terminal())) == []


def test_gitlab_report_of_every_rule_is_valid() -> None:
    every = [
        rule("dsn", rule.title, origin=Origin("dotenv", "X", "a.env", 1)) for rule in all_rules().values()
    ]
    assert len(gitlab_report(report(*every).render(FindingsFormat.GITLAB, Terminal()))) == len(every)


def fingerprint(*problems: Problem) -> list[str]:
    issues = gitlab_report(report(*problems).render(FindingsFormat.GITLAB, Terminal()))
    return [issue["fingerprint"] for issue in issues]


def test_gitlab_fingerprint_stays_if_the_line_moves() -> None:
    at_1, at_7 = (all_rules()["PC301"]("pool.x", "x", origin=Origin("dotenv", "X", "a", n)) for n in (1, 7))
    assert fingerprint(at_1) == fingerprint(at_7)
    assert fingerprint(at_1, at_7)[0] == fingerprint(at_7)[0]


def test_gitlab_fingerprint_differs_by_file_rule_setting_and_message() -> None:
    pool, connection = Origin("dotenv", "X", "a.env", 1), Origin("dotenv", "X", "b.env", 1)
    problems = [
        all_rules()["PC301"]("pool.x", "x", origin=pool),
        all_rules()["PC301"]("pool.x", "x", origin=connection),
        all_rules()["PC302"]("pool.x", "x", origin=pool),
        all_rules()["PC301"]("pool.y", "x", origin=pool),
        all_rules()["PC301"]("pool.x", "y", origin=pool),
    ]
    assert len(set(fingerprint(*problems))) == len(problems)


@pytest.mark.parametrize(
    ("file", "project", "path"),
    [
        ("prod.env", None, "prod.env"),
        ("./a b/prod.env", None, "a b/prod.env"),
        ("prod.env", "{parent}", "{folder}/prod.env"),
        ("{absolute}/prod.env", "{parent}", "{folder}/prod.env"),
        ("../prod.env", "{parent}", "prod.env"),
        ("../prod.env", None, "../prod.env"),
        ("/etc/jobs/prod.env", "{parent}", "/etc/jobs/prod.env"),
        ("\udcff.env", None, "\N{REPLACEMENT CHARACTER}.env"),
    ],
)
def test_gitlab_path_is_relative_to_the_repository(
    file: str, project: str | None, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"parent": str(tmp_path.parent), "folder": tmp_path.name, "absolute": str(tmp_path)}
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    if project is not None:
        monkeypatch.setenv("CI_PROJECT_DIR", project.format(**names))
    problem = all_rules()["PC301"]("pool.x", "x", origin=Origin("dotenv", "X", file.format(**names), 1))
    [issue] = gitlab_report(report(problem).render(FindingsFormat.GITLAB, Terminal()))
    assert issue["location"]["path"] == path.format(**names)


@pytest.mark.parametrize(("file", "path"), [("a.env", "a.env"), (None, ".env")])
def test_gitlab_finding_without_file_is_located_in_checked_file(file: str | None, path: str) -> None:
    problem = all_rules()["PC201"]("dsn", "it is wrong", origin=Origin("environment", "DATABASE_URL"))
    [issue] = gitlab_report(report(problem, file=file).render(FindingsFormat.GITLAB, Terminal()))
    assert issue["location"] == {"path": path, "lines": {"begin": 1}}
    assert issue["description"] == "DATABASE_URL: it is wrong"


@pytest.mark.subprocess
def test_sarif_log_is_valid_and_has_every_finding(folder: Path) -> None:
    done = run(folder, "check", "settings/prod.env", "--format", "sarif", environment={"PGHSOT": "db1"})
    log = Sarif.model_validate_json(done.stdout)
    [run_] = log.runs
    results = [(r.ruleId, r.level.value, r.message.text) for r in run_.results]
    assert results == [
        ("PC106", "warning", "libpq does not know PGHSOT (did you mean PGHOST?)"),
        ("PC301", "error", "there is no pool option min_szie (did you mean min_size?)"),
        (
            "PC205",
            "error",
            f"libpq rejects sslmode: 'requre' is none of {SSLMODES} (did you mean require?)",
        ),
    ]
    sources = [r.locations[0].physicalLocation for r in run_.results]
    assert [(p.artifactLocation.uri, p.region and p.region.startLine) for p in sources] == [
        ("settings/prod.env", None),
        ("settings/prod.env", 2),
        ("settings/prod.env", 3),
    ]
    rules = run_.tool.driver.rules
    assert [rules[r.ruleIndex].id for r in run_.results] == [r.ruleId for r in run_.results]


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("environment", "DATABASE_URL"), "DATABASE_URL: it is wrong"),
        (Origin("call", "connector"), "connector: it is wrong"),
        (None, "it is wrong"),
    ],
)
@pytest.mark.parametrize(("file", "uri"), [("a.env", "a.env"), (None, ".env")])
def test_sarif_result_without_file_is_located_in_checked_file(
    origin: Origin | None, text: str, file: str | None, uri: str
) -> None:
    problem = all_rules()["PC201"]("dsn", "it is wrong", origin=origin)
    log = Sarif.model_validate_json(report(problem, file=file).render(FindingsFormat.SARIF, Terminal()))
    [result] = log.runs[0].results
    assert result.message.text == text
    assert result.locations[0].physicalLocation.artifactLocation.uri == uri


def test_sarif_log_without_results_and_with_every_rule_is_valid() -> None:
    every = [
        rule("dsn", rule.title, origin=Origin("dotenv", "X", "a.env", 1)) for rule in all_rules().values()
    ]
    for problems in ([], every):
        log = Sarif.model_validate_json(report(*problems).render(FindingsFormat.SARIF, Terminal()))
        assert len(log.runs[0].results) == len(problems)


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("prod.env", "prod.env"),
        ("./a b/c%d#e?.env", "a%20b/c%25d%23e%3F.env"),
        ("/etc/jobs/prod.env", "file:///etc/jobs/prod.env"),
        ("../prod.env", "../prod.env"),
        ("\udcff.env", "%FF.env"),
        ("/\udcff.env", "file:///%FF.env"),
    ],
)
def test_sarif_location_is_uri(file: str, uri: str) -> None:
    problem = all_rules()["PC301"]("pool.x", "x", origin=Origin("dotenv", "X", file, 1))
    document = json.loads(report(problem).render(FindingsFormat.SARIF, Terminal()))
    found = document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert found == uri
    assert urlsplit(found).fragment == urlsplit(found).query == ""


def test_problem_without_origin_is_located_in_its_configuration() -> None:
    problem = all_rules()["PC403"]("connector", "psycopg cannot load libpq")
    twice = Report([CheckResult(CheckTarget(Path(file)), None, (problem,)) for file in ("a.env", "b.env")])
    assert twice.render(FindingsFormat.GITHUB, Terminal()).splitlines() == [
        "::error file=a.env,title=PC403::psycopg cannot load libpq",
        "::error file=b.env,title=PC403::psycopg cannot load libpq",
    ]
