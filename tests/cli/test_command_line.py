"""What the command says of itself."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.cli.sandbox import Sandbox


def test_version_is_the_distributions(sandbox: Sandbox) -> None:
    assert sandbox.run("--version").stdout == f"{version('procrastinate-conn')}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("demo", "--help")])
def test_help_is_on_stdout(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    done = sandbox.run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "all five connectors" in " ".join(done.stdout.split()) or "five connectors" in done.stdout


@pytest.mark.parametrize("arguments", [("nothing",), ("demo", "--jobs", "few"), ("demo", "--jobs", "1")])
def test_wrong_usage_is_status_2_with_nothing_on_stdout(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    done = sandbox.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[-1] in done.stderr or "--jobs" in done.stderr
