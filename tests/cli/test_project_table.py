"""``[tool.procrastinate-conn]`` in pyproject.toml: what `check` without arguments checks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.checks.running import SECRET, run

pytestmark = pytest.mark.subprocess

GOOD = "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n"
WARNING = "PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs\n"
ERROR = f"{GOOD}PROCRASTINATE_CONN_POOL__MIN_SZIE=3\n"
MODULE = """\
from procrastinate_conn import ConnectorSettings

jobs = ConnectorSettings(dsn="postgresql://app@localhost/jobs")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "settings").mkdir()
    for name, text in {"good": GOOD, "warning": WARNING, "error": ERROR}.items():
        (tmp_path / "settings" / f"{name}.env").write_text(text)
    (tmp_path / "conf.py").write_text(MODULE)
    return tmp_path


def check(
    folder: Path, table: str, *arguments: str, below: str = "."
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]:
    """Run `check` in a folder whose pyproject.toml has a table, or below it."""
    (folder / "pyproject.toml").write_text(table)
    (folder / below).mkdir(parents=True, exist_ok=True)
    done = run(folder / below, "check", "--format", "json", *arguments)
    assert done.stderr == ""
    return json.loads(done.stdout)["configurations"], done


def problems(folder: Path, table: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the problems of the table itself."""
    configurations, _ = check(folder, table, *arguments)
    found = [p for c in configurations for p in c["problems"] if c["file"] == "pyproject.toml"]
    assert {problem["code"] for problem in found} <= {"PC115"}
    return found


def test_files_of_the_table_are_checked_without_arguments(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nfiles = ["settings/good.env", "settings/error.env"]\n'
    configurations, done = check(folder, table)
    assert [(c["file"], c["ok"]) for c in configurations] == [
        ("settings/good.env", True),
        ("settings/error.env", False),
    ]
    assert done.returncode == 1


def test_pattern_in_files_names_every_file_that_matches(folder: Path) -> None:
    (folder / "settings" / "directory.env").mkdir()
    configurations, _ = check(folder, '[tool.procrastinate-conn]\nfiles = ["settings/*.env"]\n')
    assert [c["file"] for c in configurations] == [
        "settings/error.env",
        "settings/good.env",
        "settings/warning.env",
    ]


def test_files_are_relative_to_pyproject_and_shown_relative_to_the_working_directory(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nfiles = ["settings/good.env"]\n'
    configurations, _ = check(folder, table, below="src/jobs")
    assert [c["file"] for c in configurations] == ["../../settings/good.env"]


def test_settings_of_the_table_are_checked_and_imported_from_the_folder_of_pyproject(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nsettings = ["conf:jobs"]\n'
    for below in (".", "src"):
        configurations, _ = check(folder, table, below=below)
        assert [(c["file"], c["settings"], c["ok"]) for c in configurations] == [(None, "conf:jobs", True)]


MAILS = f"MAILS_DSN=postgresql://app@localhost/mails\nJOBS_POOL__MIN_SZIE=3\n{GOOD}"


def test_prefixes_of_the_table_are_a_configuration_each_in_every_file(folder: Path) -> None:
    (folder / "settings" / "mails.env").write_text(MAILS)
    table = '[tool.procrastinate-conn]\nprefixes = ["JOBS_", "MAILS_"]\nfiles = ["settings/mails.env"]\n'
    configurations, _ = check(folder, table)
    assert [(c["file"], c["prefix"], c["ok"]) for c in configurations] == [
        ("settings/mails.env", "JOBS_", False),
        ("settings/mails.env", "MAILS_", True),
    ]


def test_prefixes_of_the_table_apply_to_the_environment_if_it_names_no_file(folder: Path) -> None:
    (folder / ".env").write_text(MAILS)
    configurations, _ = check(folder, '[tool.procrastinate-conn]\nprefixes = ["JOBS_", "MAILS_"]\n')
    assert [(c["file"], c["prefix"], c["ok"]) for c in configurations] == [
        (None, "JOBS_", False),
        (None, "MAILS_", True),
    ]


def test_prefixes_of_the_table_apply_to_files_that_are_arguments(folder: Path) -> None:
    (folder / "settings" / "mails.env").write_text(MAILS)
    table = '[tool.procrastinate-conn]\nprefixes = ["MAILS_"]\nfiles = ["settings/good.env"]\n'
    configurations, _ = check(folder, table, "settings/mails.env")
    assert [(c["file"], c["prefix"]) for c in configurations] == [("settings/mails.env", "MAILS_")]
    configurations, _ = check(folder, table, "settings/mails.env", "--prefix", "JOBS_")
    assert [(c["file"], c["prefix"]) for c in configurations] == [("settings/mails.env", "JOBS_")]


def test_prefix_option_replaces_the_targets_of_the_table(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nprefixes = ["MAILS_"]\nfiles = ["settings/good.env"]\n'
    configurations, _ = check(folder, table, "--prefix", "JOBS_")
    assert [(c["file"], c["prefix"]) for c in configurations] == [(None, "JOBS_")]


def test_settings_whose_module_does_not_exist_are_located_in_the_table(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nsettings = [\n  "conf:jobs",\n  "absent:jobs",\n]\n'
    configurations, _ = check(folder, table)
    [problem] = configurations[1]["problems"]
    assert problem["code"] == "PC114"
    assert (problem["origin"]["file"], problem["origin"]["line"]) == ("pyproject.toml", 4)


def test_table_without_targets_leaves_the_environment_and_env_file(folder: Path) -> None:
    (folder / ".env").write_text(WARNING)
    configurations, done = check(folder, "[tool.procrastinate-conn]\nstrict = true\n")
    assert [(c["file"], c["settings"], c["ok"]) for c in configurations] == [(None, None, False)]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "checked"),
    [
        (["settings/good.env"], [("settings/good.env", None)]),
        (["--settings", "conf:jobs"], [(None, "conf:jobs")]),
    ],
)
def test_arguments_replace_the_files_and_settings_of_the_table(
    arguments: list[str], checked: list[tuple[str | None, str | None]], folder: Path
) -> None:
    table = '[tool.procrastinate-conn]\nfiles = ["settings/error.env"]\nsettings = ["conf:absent"]\n'
    configurations, done = check(folder, table, *arguments)
    assert [(c["file"], c["settings"]) for c in configurations] == checked
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("table", "arguments", "status"),
    [
        ("strict = true", [], 1),
        ("strict = true", ["--no-strict"], 0),
        ("strict = false", ["--strict"], 1),
        ('strict = true\nignore = ["PC5"]', [], 0),
        ('strict = true\nignore = ["pc5"]', [], 0),
        ('strict = true\nignore = ["PC5"]', ["--ignore", "PC3"], 1),
        ('strict = true\nselect = ["PC3"]', [], 0),
        ('strict = true\nselect = ["PC3"]', ["--select", "PC5"], 1),
    ],
)
def test_option_overrides_the_same_key_of_the_table(
    table: str, arguments: list[str], status: int, folder: Path
) -> None:
    _, done = check(
        folder, f'[tool.procrastinate-conn]\nfiles = ["settings/warning.env"]\n{table}\n', *arguments
    )
    assert done.returncode == status


def test_select_ignore_and_strict_apply_to_files_that_are_arguments(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nstrict = true\nignore = ["PC501"]\n'
    assert check(folder, table, "settings/warning.env")[1].returncode == 0
    table = "[tool.procrastinate-conn]\nstrict = true\n"
    assert check(folder, table, "settings/warning.env")[1].returncode == 1


@pytest.mark.parametrize("where", ["table", "option"])
def test_select_hides_neither_the_table_nor_settings_that_cannot_be_loaded(where: str, folder: Path) -> None:
    select = 'select = ["PC3"]\n' if where == "table" else ""
    table = f'[tool.procrastinate-conn]\nsettings = ["conf:absent"]\nstrikt = true\n{select}'
    configurations, _ = check(folder, table, *(["--select", "PC3"] if where == "option" else []))
    assert [p["code"] for c in configurations for p in c["problems"]] == ["PC115", "PC114"]


def test_nearest_pyproject_with_the_table_counts(folder: Path) -> None:
    (folder / "member").mkdir()
    (folder / "member" / "pyproject.toml").write_text('[project]\ndependencies = ["procrastinate-conn"]\n')
    table = '[tool.procrastinate-conn]\nfiles = ["settings/good.env"]\n'
    configurations, _ = check(folder, table, below="member")
    assert [c["file"] for c in configurations] == ["../settings/good.env"]


@pytest.mark.parametrize(
    ("table", "line", "message", "hint"),
    [
        ('file = ["a.env"]', 2, "there is no key file", "did you mean files?"),
        ('setings = ["conf:jobs"]', 2, "there is no key setings", "did you mean settings?"),
        ('\nprefix = ["JOBS_"]', 3, "there is no key prefix", "did you mean prefixes?"),
        (
            "zzz = 1",
            2,
            "there is no key zzz",
            "the keys are files, prefixes, settings, select, ignore, strict",
        ),
        ('select = "PC3"', 2, "select is 'PC3', and not an array", 'write select = ["PC3"]'),
        ("ignore = 3", 2, "ignore is 3, and not an array", "write strings in brackets"),
        ("strict = 1", 2, "strict is 1", "write true or false"),
        ('select = [\n  "PC3",\n  7,\n]', 4, "select has 7, and not a string", ""),
        ('ignore = [\n  "PC3",\n  "PC31x",\n]', 4, "no rule's code begins with 'PC31x'", "did you mean PC3"),
        ('settings = [\n  "conf",\n]', 3, "'conf' is not written as package.module:object", "write a colon"),
        ('prefixes = ["JOBS-"]', 2, "'JOBS-' is no prefix of a variable", "write letters, digits and _"),
        (
            'files = ["settings/god.env"]',
            2,
            "there is no file settings/god.env",
            "did you mean settings/good.env?",
        ),
        ('files = [\n  "other/*.env",\n]', 3, "no file matches other/*.env", ""),
    ],
)
def test_mistake_in_the_table_is_a_finding_with_its_line_and_a_hint(
    table: str, line: int, message: str, hint: str, folder: Path
) -> None:
    [problem] = problems(folder, f"[tool.procrastinate-conn]\n{table}\n\n[tool.other]\nfiles = 1\n")
    assert (problem["origin"]["file"], problem["origin"]["line"]) == ("pyproject.toml", line)
    assert problem["message"] == message
    assert problem["hint"].startswith(hint)
    assert bool(problem["hint"]) == bool(hint)


def test_invalid_part_of_the_table_hides_no_valid_one(folder: Path) -> None:
    table = '[tool.procrastinate-conn]\nfiles = ["absent.env", "settings/error.env"]\nstrikt = true\n'
    configurations, done = check(folder, table)
    assert [(c["file"], len(c["problems"])) for c in configurations] == [
        ("pyproject.toml", 2),
        ("settings/error.env", 1),
    ]
    assert done.returncode == 1


@pytest.mark.parametrize(
    "table",
    [
        'files = ["absent.env"]',
        'settings = ["conf"]',
        'prefixes = ["1"]',
        'prefixes = ["A_"]\nfiles = ["b.env"]',
    ],
)
def test_nothing_else_is_checked_if_every_named_target_is_invalid(table: str, folder: Path) -> None:
    configurations, _ = check(folder, f"[tool.procrastinate-conn]\n{table}\n")
    assert [c["file"] for c in configurations] == ["pyproject.toml"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[tool]\nprocrastinate-conn = { zzz = 1 }\n", 2),
        ("[project]\n\n[tool]\nprocrastinate-conn.zzz = 1\n", 4),
        ('[ tool . "procrastinate-conn" ]\n"zzz" = 1\n', 2),
    ],
)
def test_line_is_told_however_the_table_is_written(text: str, line: int, folder: Path) -> None:
    [problem] = problems(folder, text)
    assert (problem["message"], problem["origin"]["line"]) == ("there is no key zzz", line)


@pytest.mark.parametrize("name", ["procrastinate_conn", "procrastinate-con", "procrastinateconn"])
def test_misspelt_name_of_the_table_is_a_finding(name: str, folder: Path) -> None:
    [problem] = problems(folder, f"[project]\n\n[tool.{name}]\nstrict = true\n")
    assert problem["origin"]["line"] == 3
    assert problem["message"] == f"[tool.{name}] is not read"
    assert problem["hint"] == "did you mean [tool.procrastinate-conn]?"


@pytest.mark.parametrize("name", ["procrastinate", "ruff"])
def test_table_of_another_tool_is_no_finding(name: str, folder: Path) -> None:
    assert problems(folder, f"[tool.{name}]\nstrict = 1\n# procrastinate\n") == []


def test_malformed_toml_with_the_table_is_a_finding_with_its_line(folder: Path) -> None:
    [problem] = problems(folder, "[tool.procrastinate-conn]\nstrict = true\nselect = [\n\n[tool.x]\n")
    assert problem["message"].startswith("this is not TOML: ")
    assert problem["origin"]["line"] == 5
    [problem] = problems(folder, "[tool.procrastinate-conn]\nselect = [\n")
    assert problem["origin"]["line"] == 3


def test_malformed_toml_without_the_table_is_left_to_other_tools(folder: Path) -> None:
    assert problems(folder, "[tool.other]\n# procrastinate-conn\nselect = [\n") == []


def test_pyproject_that_is_not_utf_8_is_a_finding_with_its_line(folder: Path) -> None:
    (folder / "pyproject.toml").write_bytes(b"[tool.procrastinate-conn]\nfiles = ['\xff']\n")
    done = run(folder, "check")
    assert done.stdout.startswith("pyproject.toml:2: PC115 error: this is not TOML: byte 36 is not UTF-8\n")


def test_table_that_is_no_table_is_a_finding(folder: Path) -> None:
    [problem] = problems(folder, "[tool]\nprocrastinate-conn = true\n")
    assert problem["message"] == "tool.procrastinate-conn is true, and not a table"
    assert problem["origin"]["line"] == 2


def test_connection_string_in_the_table_is_not_repeated(folder: Path) -> None:
    for key in ("files", "settings", "prefixes", "select"):
        string = f"postgresql://app:{SECRET}@db1/jobs"
        (folder / "pyproject.toml").write_text(f'[tool.procrastinate-conn]\n{key} = ["{string}"]\n')
        for output in ("text", "json", "github", "gitlab", "sarif"):
            done = run(folder, "check", "--format", output)
            assert done.returncode == 1
            assert "PC115" in done.stdout
            assert SECRET not in done.stdout + done.stderr


def test_table_is_one_line_in_text(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.procrastinate-conn]\nstrikt = true\n")
    (folder / ".env").write_text("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n")
    first, hint, _, summary = run(folder, "check").stdout.splitlines()
    assert first == "pyproject.toml:2: PC115 error: there is no key strikt"
    assert hint.strip() == "= did you mean strict?"
    assert summary.startswith("1 error in 1 of 2 configurations;")
