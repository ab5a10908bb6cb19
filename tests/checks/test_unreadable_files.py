"""Files that this user may not read are reported, whatever setting names them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.checks.running import COMMAND, clean_environment

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(os.name != "posix", reason="the permissions are Unix's"),
]


def check(folder: Path, *arguments: str, **environment: str) -> list[dict[str, Any]]:
    """Return the problems of one configuration."""
    [problems] = check_all(folder, *arguments, **environment)
    return problems


def check_all(folder: Path, *arguments: str, **environment: str) -> list[list[dict[str, Any]]]:
    """Run check without root's privilege to read everything; return each configuration's problems."""
    command = [*COMMAND, "check", "--format", "json", *arguments]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything, and there is no setpriv to give that up")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(folder) | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [configuration["problems"] for configuration in json.loads(done.stdout)["configurations"]]


def write(file: Path, text: str, mode: int = 0o600) -> None:
    file.write_text(text)
    file.chmod(mode)


LINES = {
    "PC507": "PROCRASTINATE_CONN_PASSWORD_FILE=secret",
    "PC504": "PGSSLMODE=require\nPGSSLROOTCERT=secret",
    "PC207": "PGSERVICE=jobs\nPGSERVICEFILE=secret",
    "PC209": "PGPASSFILE=secret",
}


def test_unreadable_file_of_a_setting_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "secret", "hunter2\n", 0o000)
    for code, line in LINES.items():
        write(tmp_path / f"{code}.env", f"PROCRASTINATE_CONN_CONNECTION__HOST=localhost\n{line}\n")
    for code, problems in zip(LINES, check_all(tmp_path, *(f"{code}.env" for code in LINES)), strict=True):
        assert [problem["code"] for problem in problems] == [code]
        assert "secret" in problems[0]["message"] + str(problems[0]["origin"]["file"])


@pytest.mark.parametrize("named", [True, False])
def test_unreadable_env_file_is_reported(named: bool, tmp_path: Path) -> None:
    write(tmp_path / ".env", "PGHOST=localhost\n", 0o000)
    [problem] = check(tmp_path, *[".env"] * named)
    assert (problem["code"], problem["origin"]["file"]) == ("PC103", ".env")


def test_unreadable_file_of_a_secrets_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    write(tmp_path / "secrets" / "procrastinate_conn_dsn", "hunter2\n", 0o000)
    [problem] = check(tmp_path, "--secrets-dir", "secrets")
    assert (problem["code"], problem["origin"]["file"]) == ("PC103", "secrets/procrastinate_conn_dsn")


def test_file_in_an_inaccessible_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "certificates").mkdir(mode=0o000)
    write(tmp_path / "jobs.env", "PGHOST=localhost\nPGSSLROOTCERT=certificates/ca.pem\n")
    [problem] = check(tmp_path, "jobs.env")
    assert problem["code"] == "PC509"
    assert problem["message"].endswith("which this user cannot access")


def test_inaccessible_home_directory_has_no_root_certificate(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o000)
    write(tmp_path / "jobs.env", "PGHOST=db1.example.com\nPGUSER=app\nPGSSLMODE=require\n")
    codes = [problem["code"] for problem in check(tmp_path, "jobs.env", HOME=str(tmp_path / "locked"))]
    assert codes == ["PC504", "PC502"]
