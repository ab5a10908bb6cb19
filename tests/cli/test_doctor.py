"""``procrastinate-conn doctor``: output, exit status, time limit, and no secret."""

from __future__ import annotations

import itertools
import json
import os
import pty
import socket
import subprocess
import time
from pathlib import Path

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres, free_port
from tests.checks.running import run
from tests.cli.sandbox import COMMAND, TIMEOUT
from tests.conftest import apply_schema

pytestmark = pytest.mark.subprocess

SECRET = "marked-secret-4b2d"


def doctor(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "doctor", *arguments, environment={"COLUMNS": "80", **variables})


def test_healthy_server_is_reported_line_by_line(tmp_path, server, database):
    done = doctor(tmp_path, PROCRASTINATE_CONN_DSN=server.dsn(database), COLUMNS="160")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["  ok  settings   in order", "", f"127.0.0.1:{server.port}"]
    assert lines[-1] == "In order: psycopg, 14 checks."
    assert {line[:4].strip() for line in lines[3:-2] if line} == {"ok"}
    assert {line[6:16].strip() for line in lines[3:-2] if line} >= {"login", "schema", "listen", "budget"}
    assert "\x1b" not in done.stdout


def test_json_document_has_the_same_results(tmp_path, server, database):
    done = doctor(tmp_path, "--format", "json", DATABASE_URL=server.dsn(database))
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["connector"]) == (0, True, "psycopg")
    [host] = document["hosts"]
    assert (host["host"], host["port"]) == ("127.0.0.1", str(server.port))
    for check in (*document["checks"], *host["checks"]):
        assert list(check) == ["name", "status", "message", "hint", "value"]
        assert check["status"] == "pass"


@pytest.mark.parametrize(
    ("options", "names", "status"),
    [
        (["--select", "schema"], {"schema"}, 1),
        (["--select", "clock,identity"], {"clock", "identity"}, 0),
        (["--ignore", "schema", "--select", "rights"], set(), 0),
        (["--ignore", "settings,resolve,connect,login,tls,identity,role,clock"], None, 1),
    ],
)
def test_checks_are_selected_and_ignored_by_name(tmp_path, server, options, names, status):
    name = server.create_database()
    done = doctor(tmp_path, "--format", "json", *options, PROCRASTINATE_CONN_DSN=server.dsn(name))
    server.drop_database(name)
    document = json.loads(done.stdout)
    found = {check["name"] for part in (document, *document["hosts"]) for check in part["checks"]}
    assert (found == names) if names is not None else ("login" not in found and "schema" in found)
    assert done.returncode == status


def test_failure_that_a_selected_check_needs_is_reported(tmp_path):
    done = doctor(tmp_path, "--select", "schema", PROCRASTINATE_CONN_DSN=f"host=127.0.0.1 port={free_port()}")
    assert done.returncode == 1
    assert "FAIL  connect" in done.stdout


def test_selected_check_that_does_not_apply_is_named(tmp_path):
    done = doctor(tmp_path, "--select", "tls", "--connector", "in-memory")
    assert (done.returncode, done.stdout) == (
        0,
        "In order: in-memory, 0 checks. Not run, as there is nothing to check: tls.\n",
    )


def test_unknown_check_is_wrong_usage(tmp_path):
    done = doctor(tmp_path, "--ignore", "shema", COLUMNS="200")
    assert done.returncode == 2
    assert "did you mean schema?" in done.stderr


def test_hint_about_a_missing_password_names_the_variable_of_the_prefix(tmp_path, scram_server):
    address = scram_server.parameters("jobs")
    dsn = f"host={address['host']} port={address['port']} user={address['user']} dbname=jobs"
    done = doctor(tmp_path, "--prefix", "JOBS_", JOBS_DSN=dsn, COLUMNS="200")
    assert done.returncode == 1
    assert "-> no password is set: set JOBS_CONNECTION__PASSWORD" in done.stdout


def test_warning_fails_only_with_strict(tmp_path, server, database):
    options = f"{server.dsn(database)} options='-c statement_timeout=100'"
    plain = doctor(tmp_path, PROCRASTINATE_CONN_DSN=options)
    strict = doctor(tmp_path, "--strict", PROCRASTINATE_CONN_DSN=options)
    assert (plain.returncode, strict.returncode) == (0, 1)
    assert plain.stdout.splitlines()[-1] == strict.stdout.splitlines()[-1] == "1 warning"


def test_failure_has_its_hint_below_and_exits_with_1(tmp_path, server):
    name = server.create_database()
    try:
        done = doctor(tmp_path, PROCRASTINATE_CONN_DSN=server.dsn(name))
    finally:
        server.drop_database(name)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = lines.index("FAIL  schema     procrastinate's tables do not exist")
    assert lines[at + 1].strip() == "-> python -m procrastinate --app=module.app schema --apply"


def test_connector_without_connection_is_a_failure_without_log_output(tmp_path, server, database):
    dsn = f"{server.dsn(database)} target_session_attrs=standby connect_timeout=2"
    done = doctor(tmp_path, PROCRASTINATE_CONN_DSN=dsn)
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL  connector  psycopg gets no connection: " in done.stdout


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(tmp_path, server, database, columns):
    done = doctor(tmp_path, "--processes", "100", PROCRASTINATE_CONN_DSN=server.dsn(database),
                       COLUMNS=columns)  # fmt: skip
    assert done.returncode == 1
    assert max(map(len, done.stdout.splitlines())) <= int(columns)


def test_missing_libpq_is_a_failure_of_the_settings(tmp_path):
    done = doctor(tmp_path, PSYCOPG_IMPL="none")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL  settings  PC403 psycopg cannot load libpq")


def test_invalid_settings_are_reported_without_a_connection(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = doctor(tmp_path, "--format", "json", PGHOST="127.0.0.1", PGPORT=port,
                           PROCRASTINATE_CONN_POOL__MIN_SZIE="3")  # fmt: skip
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["hosts"]) == (1, False, [])
    assert [(check["name"], check["status"], check["value"]) for check in document["checks"]] == [
        ("settings", "fail", "PC301"),
        ("connect", "fail", None),
    ]


@pytest.mark.parametrize(
    "arguments",
    [("--timeout", "soon"), ("--timeout", "0"), ("--processes", "0"), ("--format", "xml"), ("a", "b")],
)
def test_wrong_usage_exits_with_2(tmp_path, arguments):
    done = doctor(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_time_limit_ends_the_checks_of_an_unresponsive_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} connect_timeout=0"
        started = time.monotonic()
        done = doctor(tmp_path, "--timeout", "1.5", PROCRASTINATE_CONN_DSN=dsn)
        assert time.monotonic() - started < 30
    assert done.returncode == 1
    assert "not finished within the time limit (1.5 s)" in " ".join(done.stdout.split())


def test_env_file_is_the_configuration(tmp_path, server, database):
    file = tmp_path / "prod.env"
    file.write_text(f'PROCRASTINATE_CONN_DSN="{server.dsn(database)}"\nPROCRASTINATE_CONN_CONNECTOR=aiopg\n')
    done = doctor(tmp_path, "--isolated", "prod.env", PGHOST="nowhere.invalid")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("In order: aiopg")


def test_no_secret_is_shown_in_any_failure(tmp_path):
    file = tmp_path / "password"
    file.write_text(SECRET)
    with EmbeddedPostgres(auth="scram-sha-256") as scram:
        apply_schema(scram, scram.create_database("jobs"))
        with scram.connect() as connection:
            connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{SECRET}'")
        address = f"postgresql://app@127.0.0.1:{scram.port}"
        environments = [
            {"PROCRASTINATE_CONN_DSN": f"postgresql://app:{SECRET}@127.0.0.1:{scram.port}/jobs"},
            {"PROCRASTINATE_CONN_DSN": f"postgresql://postgres:{SECRET}@127.0.0.1:{scram.port}/jobs"},
            {"PROCRASTINATE_CONN_DSN": f"{address}/jobs", "PGPASSWORD": SECRET},
            {"PROCRASTINATE_CONN_DSN": f"{address}/nothing?password={SECRET}"},
            {"PROCRASTINATE_CONN_DSN": f"{address}/jobs", "PROCRASTINATE_CONN_PASSWORD_FILE": str(file)},
            {
                "PROCRASTINATE_CONN_DSN": f"{address}/jobs",
                "PROCRASTINATE_CONN_PASSWORD_COMMAND": f"sh -c 'echo {SECRET}; exit 3'",
            },
            {"PROCRASTINATE_CONN_DSN": f"postgresql://app:{SECRET}@127.0.0.1:{free_port()}/jobs"},
            {"PROCRASTINATE_CONN_DSN": f"postgresql://app:{SECRET}@[::1/jobs"},
            {"PROCRASTINATE_CONN_DSN": f"postgresql://app:a@{SECRET}@127.0.0.1:{scram.port}/jobs"},
            {"PROCRASTINATE_CONN_CONNECTION__HOST": f"app:{SECRET}@127.0.0.1"},
            {"PROCRASTINATE_CONN_DSN": f"{address}/jobs", "PROCRASTINATE_CONN_PASSWORD_FILE": SECRET},
        ]
        for environment, output in itertools.product(environments, ("text", "json")):
            done = doctor(tmp_path, "--format", output, **environment)
            assert done.returncode == 1, environment
            assert done.stderr == ""
            assert SECRET not in done.stdout, environment
            assert "Traceback" not in done.stdout


def test_progress_is_shown_on_standard_error_of_a_terminal_alone(tmp_path):
    terminal, other_end = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # keeps the line there until a frame is drawn
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} connect_timeout=0"
        done = subprocess.run(
            [*COMMAND, "doctor", "--timeout", "2"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=other_end,
            cwd=tmp_path,
            env={**os.environ, "PROCRASTINATE_CONN_DSN": dsn, "TERM": "xterm"},
            timeout=TIMEOUT,
            check=False,
        )
    os.close(other_end)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "127.0.0.1: " in shown
    assert b"\x1b" not in done.stdout
