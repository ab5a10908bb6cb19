"""Files that this user may not read are findings, whoever they are named by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.check.running import COMMAND, clean_environment

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the permissions are Unix's")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="check-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def check_as_nobody(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run the command as a user who does not own the files, since root may read everything."""
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = clean_environment(folder)
    started = subprocess.run(
        [sys.executable, "-c", "import procrastinate_conn.configuration"],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
        **user,
    )
    if started.returncode != 0:
        pytest.skip("the interpreter or the checkout is for root alone")
    done = subprocess.run(
        [*COMMAND, "check", "--format", "json", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **user,
    )
    return json.loads(done.stdout)["configurations"][0]["problems"]


def write(file: Path, text: str, mode: int) -> None:
    file.write_text(text)
    file.chmod(mode)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("PROCRASTINATE_CONN_PASSWORD_FILE=secret", "PC507"),
        ("PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=secret", "PC504"),
        ("PGSERVICE=jobs\nPGSERVICEFILE=secret", "PC207"),
        ("PGPASSFILE=secret", "PC209"),
    ],
)
def test_a_file_that_a_setting_names(line: str, code: str, folder: Path) -> None:
    write(folder / "secret", "hunter2\n", 0o000)
    write(folder / "jobs.env", f"PROCRASTINATE_CONN_CONNECTION__HOST=localhost\n{line}\n", 0o644)
    [problem] = check_as_nobody(folder, "jobs.env")
    assert problem["code"] == code
    assert "secret" in problem["message"] + str(problem["origin"]["file"])


def test_an_env_file(folder: Path) -> None:
    write(folder / "jobs.env", "PGHOST=localhost\n", 0o000)
    [problem] = check_as_nobody(folder, "jobs.env")
    assert (problem["code"], problem["origin"]["file"]) == ("PC103", "jobs.env")


def test_the_default_env_file(folder: Path) -> None:
    write(folder / ".env", "PGHOST=localhost\n", 0o000)
    [problem] = check_as_nobody(folder)
    assert (problem["code"], problem["origin"]["file"]) == ("PC103", ".env")


def test_a_file_of_a_secrets_directory(folder: Path) -> None:
    (folder / "secrets").mkdir()
    write(folder / "secrets" / "procrastinate_conn_dsn", "hunter2\n", 0o000)
    [problem] = check_as_nobody(folder, "--secrets-dir", "secrets")
    assert (problem["code"], problem["origin"]["file"]) == ("PC103", "secrets/procrastinate_conn_dsn")
