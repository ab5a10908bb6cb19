"""The options and the help of the command itself."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from procrastinate_conn import suggestions
from tests.checks.running import run


@pytest.mark.subprocess
def test_version_option_prints_version_of_distribution(tmp_path: Path) -> None:
    assert run(tmp_path, "--version", new_process=True).stdout == f"{version('procrastinate-conn')}\n"


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--help",), "get any of procrastinate's connectors"),
        (("check", "--help"), "Find everything that is wrong with the settings"),
        (("show", "--help"), "Show the effective settings"),
        (("doctor", "--help"), "Find what is wrong with the live server"),
        (("rule", "--help"), "Explain a code"),
        (("connectors", "--help"), "List the kinds of connector"),
        (("schema", "--help"), "Print a JSON Schema"),
        (("demo", "--help"), "Run every connector"),
    ],
)
def test_help_is_printed_to_stdout(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert text in " ".join(done.stdout.split())


@pytest.mark.subprocess
@pytest.mark.parametrize("arguments", [("nothing",), ("demo", "--jobs", "few"), ("demo", "--jobs", "1")])
def test_usage_error_exits_with_2_and_prints_to_stderr(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[-1] in done.stderr or "--jobs" in done.stderr


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asyncpgg", "asyncpg"),
        ("psycopg3", "psycopg"),
        ("sync", "sync-psycopg"),
        ("psycopg-sync", "sync-psycopg"),
        ("psycopg2-binary", "psycopg2"),
        ("sqlalchemy", "sqlalchemy-psycopg2"),
        ("procrastinate.contrib.aiopg.AiopgConnector", "aiopg"),
    ],
)
def test_alias_of_connector_suggests_its_kind(name: str, kind: str) -> None:
    assert suggestions.connector(name) == f"did you mean {kind}?"
