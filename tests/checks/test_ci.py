"""The pre-commit hook and the GitHub workflow, as far as they run without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from tests.checks.running import clean_environment

pytestmark = pytest.mark.subprocess

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "github-workflow"
WORKFLOW = EXAMPLE / ".github" / "workflows" / "settings.yml"
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
    return repository_with_hook("procrastinate-conn-check", tmp_path)


def repository_with_hook(hook_id: str, folder: Path) -> Path:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    hook = {**hooks[hook_id], "language": "system"}
    hook.pop("additional_dependencies", None)
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    assert run(folder, "git", "init", "--quiet").returncode == 0
    return folder


def test_pre_commit_manifest_is_valid(tmp_path: Path) -> None:
    manifest = str(ROOT / ".pre-commit-hooks.yaml")
    done = run(tmp_path, sys.executable, "-m", "pre_commit", "validate-manifest", manifest)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("content", [GOOD, BAD])
def test_hook_checks_only_env_files(content: str, repository: Path) -> None:
    env_files = (".env", ".env.production", "settings/production.env")
    files = {**dict.fromkeys(env_files, content), "environment.py": BAD, "docs/env": BAD}
    for name, text in files.items():
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(text)
    # The hook's environment is the developer's, of which it sees nothing.
    done = pre_commit(repository, PGSSLMODE="nonsense")
    assert done.returncode == (content == BAD), done.stdout + done.stderr
    found = [line.partition(":")[0] for line in done.stdout.splitlines() if "PC301 error" in line]
    assert sorted(found) == (sorted(env_files) if content == BAD else [])


TABLE = (
    '[tool.procrastinate-conn]\nfiles = ["settings/*.env"]\nsettings = ["conf:jobs"]\nignore = ["PC302"]\n'
)
MODULE = "from procrastinate_conn import ConnectorSettings\njobs = ConnectorSettings(dsn='host=localhost')\n"


def pre_commit(repository: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    assert run(repository, "git", "add", "--all").returncode == 0
    command = (sys.executable, "-m", "pre_commit", "run", "--all-files")
    return run(repository, *command, PRE_COMMIT_HOME=str(repository / "cache"), **environment)


@pytest.mark.parametrize(
    ("changed", "findings"),
    [
        ({"settings/staging.env": GOOD, "other/staging.env": BAD}, []),
        (
            {"settings/staging.env": BAD, "conf.py": "jobs = 3\n"},
            ["settings/staging.env:1: PC301 error", "conf.py:1: PC114 error"],
        ),
        ({"pyproject.toml": TABLE.replace("files", "flies")}, ["pyproject.toml:2: PC115 error"]),
    ],
)
def test_project_hook_checks_what_the_table_names(
    changed: dict[str, str], findings: list[str], tmp_path: Path
) -> None:
    repository = repository_with_hook("procrastinate-conn-check-project", tmp_path)
    files = {"settings/production.env": GOOD, "conf.py": MODULE, "pyproject.toml": TABLE, **changed}
    for file, text in files.items():
        (repository / file).parent.mkdir(exist_ok=True)
        (repository / file).write_text(text)
    done = pre_commit(repository)
    assert done.returncode == bool(findings), done.stdout + done.stderr
    assert all(finding in done.stdout for finding in findings)


def test_hook_uses_prefixes_and_codes_of_the_table(repository: Path) -> None:
    (repository / "pyproject.toml").write_text(
        '[tool.procrastinate-conn]\nprefixes = ["JOBS_"]\nignore = ["PC301"]\n'
    )
    (repository / ".env").write_text(f"{BAD}JOBS_POOL__MAX_SZIE=1\nJOBS_POOL__MAX_SIZE=-1\n")
    done = pre_commit(repository)
    assert done.returncode == 1
    assert ".env:3: PC303 error" in done.stdout
    assert "PC301" not in done.stdout


def test_workflow_is_valid(tmp_path: Path) -> None:
    checker = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    done = run(tmp_path, *checker, str(WORKFLOW))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLE, tmp_path / "checkout")


def steps() -> list[dict[str, Any]]:
    """Return the steps of the workflow that run the command."""
    [job] = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return [step for step in job["steps"] if "procrastinate-conn check" in step.get("run", "")]


def run_step(step: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub's runner does."""
    return run(folder, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])


def test_workflow_passes_on_valid_settings(checkout: Path) -> None:
    for step in steps():
        done = run_step(step, checkout)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Sarif.model_validate_json((checkout / "settings.sarif").read_text()).runs[0].results == []


def test_workflow_fails_on_mistake_and_uploads_it(checkout: Path) -> None:
    with (checkout / "settings" / "staging.env").open("a") as file:
        file.write(BAD)
    annotate, scan = steps()
    done = run_step(annotate, checkout)
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=settings/staging.env,line=4,title=PC301::")
    assert run_step(scan, checkout).returncode == 0
    [result] = Sarif.model_validate_json((checkout / "settings.sarif").read_text()).runs[0].results
    assert result.locations[0].physicalLocation.artifactLocation.uri == "settings/staging.env"


def test_workflow_fails_without_settings(checkout: Path) -> None:
    shutil.rmtree(checkout / "settings")
    assert run_step(steps()[0], checkout).returncode == 1
