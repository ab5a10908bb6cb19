"""``--prefix``: the variables of another prefix, for `check`, `show`, `doctor`, `schema` and `rule`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checks.running import run

pytestmark = pytest.mark.subprocess

LINES = """\
JOBS_DSN=postgresql://app@localhost/jobs
JOBS_POOL__MAX_SIZE=7
MAILS_DSN=postgresql://app@localhost/mails
MAILS_POOL__MAX_SZIE=2
PROCRASTINATE_CONN_DSN=postgresql://app@localhost/other
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prod.env").write_text(LINES)
    return tmp_path


def test_each_prefix_is_a_configuration_of_its_own(folder: Path) -> None:
    (folder / ".env").write_text("JOBS_DSN=postgresql://app@localhost/jobs\n")
    for files in ([], ["prod.env"], ["prod.env", ".env"]):
        done = run(folder, "check", *files, "--prefix=JOBS_", "--prefix=MAILS_", "--format=json")
        found = [(c["file"], c["prefix"]) for c in json.loads(done.stdout)["configurations"]]
        assert found == [(f, p) for f in files or [None] for p in ("JOBS_", "MAILS_")]


def test_finding_is_in_the_configuration_of_its_prefix_alone(folder: Path) -> None:
    done = run(folder, "check", "prod.env", "--prefix=JOBS_", "--prefix=MAILS_", "--format=json")
    jobs, mails = json.loads(done.stdout)["configurations"]
    assert (jobs["ok"], jobs["problems"]) == (True, [])
    [problem] = mails["problems"]
    assert (problem["code"], problem["setting"]) == ("PC301", "pool.max_szie")
    assert (problem["origin"]["name"], problem["origin"]["line"]) == ("MAILS_POOL__MAX_SZIE", 4)
    assert done.returncode == 1


def test_text_shows_the_line_and_explains_the_code_under_the_prefix(folder: Path) -> None:
    done = run(folder, "check", "prod.env", "--prefix", "MAILS_")
    assert done.stdout == (
        "prod.env:4: PC301 error: there is no pool option max_szie\n"
        "4 | MAILS_POOL__MAX_SZIE=2\n"
        "  |             ^^^^^^^^\n"
        "  = did you mean max_size?\n"
        "\n"
        "1 error; `procrastinate-conn rule PC301 --prefix MAILS_` explains a code.\n"
    )


def test_summary_names_the_prefix(folder: Path) -> None:
    done = run(folder, "check", "prod.env", "--prefix", "JOBS_")
    assert done.stdout == "In order: prod.env with prefix JOBS_.\n"


@pytest.mark.parametrize("command", ["check", "show", "doctor", "schema", "rule"])
@pytest.mark.parametrize("prefix", ["JOBS-", "1", "", "a b"])
def test_prefix_that_no_variable_has_is_wrong_usage(command: str, prefix: str, folder: Path) -> None:
    done = run(folder, command, f"--prefix={prefix}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--prefix" in done.stderr


def test_show_prints_the_values_of_the_prefix(folder: Path) -> None:
    done = run(folder, "show", "prod.env", "--prefix", "JOBS_", "--format", "json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["connection"]["dbname"]["value"] == "jobs"
    assert document["pool"]["max_size"]["value"] == 7
    assert document["pool"]["max_size"]["origin"]["name"] == "JOBS_POOL__MAX_SIZE"


def test_doctor_reads_the_settings_of_the_prefix(folder: Path) -> None:
    done = run(folder, "doctor", "prod.env", "--prefix", "MAILS_")
    assert done.returncode == 1
    assert "prod.env:4 MAILS_POOL__MAX_SZIE: PC301" in done.stdout


def test_schema_names_the_variables_of_the_prefix(folder: Path) -> None:
    done = run(folder, "schema", "--prefix", "JOBS_")
    assert json.loads(done.stdout)["properties"]["dsn"]["x-variable"] == "JOBS_DSN"
    assert "PROCRASTINATE_CONN_" not in done.stdout


def test_rule_shows_its_example_in_the_names_of_the_prefix(folder: Path) -> None:
    done = run(folder, "rule", "PC301", "--prefix", "JOBS_")
    assert "JOBS_POOL__" in done.stdout
    assert "PROCRASTINATE_CONN_" not in done.stdout
    assert "$ procrastinate-conn check .env --prefix JOBS_\n" in done.stdout


@pytest.mark.parametrize("arguments", [["--format", "markdown"], []])
def test_rules_speak_of_no_other_prefix(arguments: list[str], folder: Path) -> None:
    done = run(folder, "rule", "--prefix", "JOBS_", *arguments)
    assert done.returncode == 0
    assert "PROCRASTINATE_CONN_" not in done.stdout


def test_example_of_a_rule_breaks_it_under_the_prefix_that_it_is_shown_with(folder: Path) -> None:
    explained = run(folder, "rule", "PC301", "--prefix", "JOBS_").stdout
    [line] = [line.strip() for line in explained.splitlines() if line.strip().startswith("JOBS_POOL__")]
    (folder / "example.env").write_text(f"{line}\n")
    assert "PC301" in run(folder, "check", "example.env", "--prefix", "JOBS_").stdout
