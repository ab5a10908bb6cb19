"""What the command says of itself."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from procrastinate_conn import suggestions
from tests.cli.sandbox import Sandbox


@pytest.mark.subprocess
def test_version_is_the_distributions(sandbox: Sandbox) -> None:
    assert sandbox.run("--version").stdout == f"{version('procrastinate-conn')}\n"


@pytest.mark.subprocess
@pytest.mark.parametrize("arguments", [("--help",), ("demo", "--help")])
def test_help_is_on_stdout(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    done = sandbox.run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "connector" in done.stdout


@pytest.mark.subprocess
@pytest.mark.parametrize("arguments", [("nothing",), ("demo", "--jobs", "few"), ("demo", "--jobs", "1")])
def test_wrong_usage_is_status_2_with_nothing_on_stdout(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    done = sandbox.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[-1] in done.stderr or "--jobs" in done.stderr


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asyncpg", "psycopg"),
        ("psycopg3", "psycopg"),
        ("sync", "sync-psycopg"),
        ("psycopg-sync", "sync-psycopg"),
        ("psycopg2-binary", "psycopg2"),
        ("sqlalchemy", "sqlalchemy-psycopg2"),
        ("procrastinate.contrib.aiopg.AiopgConnector", "aiopg"),
    ],
)
def test_the_kind_that_is_meant_is_named(name: str, kind: str) -> None:
    assert suggestions.connector(name) == f"did you mean {kind}?"
