"""What the commands say about a kind without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checks.running import run

pytestmark = pytest.mark.subprocess

CONNECTOR = "PROCRASTINATE_CONN_CONNECTOR"
DSN = "PROCRASTINATE_CONN_DSN=postgresql://app@db1.invalid/jobs?sslrootcert=/missing\n"


@pytest.mark.parametrize("env", ["", DSN], ids=["nothing", "a farther DSN"])
def test_in_memory_in_the_environment_is_in_order_beside(env: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(env)
    for command in (["check", "--strict"], ["doctor", "--strict"], ["show"]):
        done = run(tmp_path, *command, environment={CONNECTOR: "in-memory"})
        assert (done.returncode, done.stderr) == (0, "")
        assert "In order" in done.stdout or "no server" in done.stdout


def test_settings_beside_in_memory_are_one_warning_that_names_each(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{DSN}PROCRASTINATE_CONN_POOL__MAX_SIZE=8\n{CONNECTOR}=in-memory\n")
    done = run(tmp_path, "check", "--format", "json", environment={"PROCRASTINATE_CONN_LISTEN": "off"})
    [configuration] = json.loads(done.stdout)["configurations"]
    [problem] = configuration["problems"]
    assert (problem["code"], problem["severity"], problem["origin"]["line"]) == ("PC110", "warning", 3)
    for place in ("PROCRASTINATE_CONN_LISTEN", ".env:1 PROCRASTINATE_CONN_DSN", ".env:2 "):
        assert place in problem["message"]
    assert run(tmp_path, "check").returncode == 0


def test_show_has_neither_connection_nor_pool_in_memory(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(DSN)
    done = run(tmp_path, "show", "--all", "--format", "json", "--connector", "in-memory")
    document = json.loads(done.stdout)
    assert (document["connector"]["value"], document["connection"], document["pool"]) == ("in-memory", {}, {})


def test_doctor_says_that_in_memory_has_no_server(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor", "--connector", "InMemoryConnector", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["hosts"]) == (0, True, [])
    assert report["checks"][-1]["message"] == "the in-memory connector has no server to check"
    assert run(tmp_path, "doctor", "--connector", "in-memory", "--select", "tls").returncode == 0
