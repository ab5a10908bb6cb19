"""The options and the help of the command itself."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from procrastinate_conn import suggestions
from tests.cli.sandbox import Sandbox


@pytest.mark.subprocess
def test_version_option_prints_version_of_distribution(sandbox: Sandbox) -> None:
    assert sandbox.run("--version").stdout == f"{version('procrastinate-conn')}\n"


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
def test_help_is_printed_to_stdout(sandbox: Sandbox, arguments: tuple[str, ...], text: str) -> None:
    done = sandbox.run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert text in " ".join(done.stdout.split())


@pytest.mark.subprocess
@pytest.mark.parametrize("arguments", [("nothing",), ("demo", "--jobs", "few"), ("demo", "--jobs", "1")])
def test_usage_error_exits_with_2_and_prints_to_stderr(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    done = sandbox.run(*arguments)
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
