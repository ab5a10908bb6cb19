"""The pre-commit hook does what it is for, as far as that goes without a network; the workflow is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.check.running import clean_environment

ROOT = Path(__file__).parents[2]
GOOD = "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n"
BAD = "PROCRASTINATE_CONN_POOL__MIN_SZIE=4\n"


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run something in a folder, with the interpreter's own commands first in PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(folder) | {"PATH": path} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository whose pre-commit runs our hook; only the installation from GitHub is left out."""
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    hook = {**hook, "language": "system"}
    del hook["additional_dependencies"]
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    assert run(tmp_path, "git", "init", "--quiet").returncode == 0
    return tmp_path


def test_pre_commit_takes_the_manifest() -> None:
    done = run(ROOT, sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        (".env", GOOD, 0),
        (".env", BAD, 1),
        (".env.production", BAD, 1),
        ("settings/production.env", BAD, 1),
        ("settings/production.env", GOOD, 0),
        ("environment.py", BAD, 0),
        ("docs/env", BAD, 0),
    ],
)
def test_the_hook_checks_env_files_and_no_others(
    name: str, content: str, status: int, repository: Path
) -> None:
    file = repository / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    assert run(repository, "git", "add", "--all").returncode == 0
    # The hook's environment is the developer's, of which it sees nothing.
    done = run(
        repository,
        sys.executable,
        "-m",
        "pre_commit",
        "run",
        "--all-files",
        PRE_COMMIT_HOME=str(repository / "cache"),
        PGSSLMODE="nonsense",
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("did you mean min_size?" in done.stdout) == (status == 1)


@pytest.mark.parametrize(
    "workflow", sorted(ROOT.glob("examples/github*/**/*.yml")), ids=lambda path: path.name
)
def test_the_example_is_a_workflow(workflow: Path) -> None:
    checker = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    done = run(ROOT, *checker, str(workflow))
    assert done.returncode == 0, done.stdout + done.stderr
