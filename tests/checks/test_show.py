"""The effective values with their origins and what they override, as tables and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from procrastinate_conn.pool.parameters import known_options
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS, ConnectorKind
from tests.checks.running import SECRET, run

pytestmark = pytest.mark.subprocess

ENV = (
    "PROCRASTINATE_CONN_CONNECTOR=aiopg\n"
    f"PROCRASTINATE_CONN_DSN=postgresql://app:{SECRET}@db1:5432,db2:5433/jobs?sslmode=verify-full"
    "&sslrootcert=system\n"
    "PROCRASTINATE_CONN_CONNECTION__HOST=db3,db4\n"
    "PROCRASTINATE_CONN_POOL__MIN_SIZE=4\n"
    "PROCRASTINATE_CONN_POOL__MAX_SIZE=16\n"
)


def origin(name: str, line: int) -> dict[str, Any]:
    return {"source": "dotenv", "name": name, "file": ".env", "line": line}


def from_environment(name: str) -> dict[str, Any]:
    return {"source": "environment", "name": name, "file": None, "line": None}


def show_json(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    done = run(folder, "show", "--format", "json", *arguments, environment=environment)
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text(ENV)
    (tmp_path / ".env").chmod(0o600)
    return tmp_path


def test_json_document_of_show_is_as_documented(folder: Path) -> None:
    document = show_json(folder)
    dsn = origin("PROCRASTINATE_CONN_DSN", 2)
    assert list(document) == ["connector", "connection", "pool"]
    assert document["connector"] == {"value": "aiopg", "origin": origin("PROCRASTINATE_CONN_CONNECTOR", 1)}
    assert document["connection"]["host"] == {
        "value": "db3,db4",
        "origin": origin("PROCRASTINATE_CONN_CONNECTION__HOST", 3),
        "overrides": [{"value": "db1,db2", "origin": dsn}],
    }
    assert document["connection"]["port"] == {"value": "5432,5433", "origin": dsn, "overrides": []}
    assert document["connection"]["password"]["value"] == "********"
    assert document["connection"]["connect_timeout"]["origin"]["source"] == "resilient-default"
    assert document["pool"] == {
        "min_size": {"value": 4, "origin": origin("PROCRASTINATE_CONN_POOL__MIN_SIZE", 4), "overrides": []},
        "max_size": {"value": 16, "origin": origin("PROCRASTINATE_CONN_POOL__MAX_SIZE", 5), "overrides": []},
        "timeout": {"value": 30.0, "origin": None, "overrides": []},
    }


def test_overridden_values_are_listed_nearest_first(folder: Path) -> None:
    document = show_json(
        folder,
        PROCRASTINATE_CONN_POOL__MAX_SIZE="8",
        PROCRASTINATE_CONN_CONNECTION__HOST="db5",
        PGHOST="db6",
    )
    assert document["pool"]["max_size"] == {
        "value": 8,
        "origin": from_environment("PROCRASTINATE_CONN_POOL__MAX_SIZE"),
        "overrides": [{"value": "16", "origin": origin("PROCRASTINATE_CONN_POOL__MAX_SIZE", 5)}],
    }
    host = document["connection"]["host"]
    assert [(o["value"], o["origin"]["name"]) for o in host["overrides"]] == [
        ("db3,db4", "PROCRASTINATE_CONN_CONNECTION__HOST"),
        ("db1,db2", "PROCRASTINATE_CONN_DSN"),
        ("db6", "PGHOST"),
    ]


def test_show_all_has_libpqs_own_defaults(folder: Path) -> None:
    (folder / ".env").write_text("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n")
    everything = show_json(folder, "--all")["connection"]
    assert everything["port"]["value"] == "5432"
    connection = psycopg.pq.PGconn.connect_start(b"host=/nowhere/at/all user=app dbname=jobs password=-")
    theirs = {row.keyword.decode(): row.val.decode() for row in connection.info if row.val}
    connection.finish()
    defaults = {k: v["value"] for k, v in everything.items() if v["origin"]["source"] == "libpq-default"}
    assert {k: v for k, v in defaults.items() if k != "passfile"} == {
        k: theirs[k] for k in defaults if k != "passfile"
    }
    assert "sslmode" in defaults
    assert "sslmode" not in show_json(folder)["connection"]


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_show_all_has_every_pool_option_of_kind(kind: ConnectorKind, folder: Path) -> None:
    (folder / ".env").write_text("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n")
    pool = show_json(folder, "--all", "--connector", kind)["pool"]
    known = known_options(kind, null=False)
    assert set(pool) == {option for option in known if REGISTRY[kind].supports(option)}
    assert (set(pool) == set(known)) == (REGISTRY[kind].drivers == ("psycopg",))


@pytest.mark.parametrize(
    ("settings", "location", "connections"),
    [
        (
            {"dsn": "postgresql://app@db1,db2:5433/jobs?sslmode=verify-full&sslrootcert=system"},
            "app@db1:5432,db2:5433/jobs, TLS verify-full",
            "4 connections",
        ),
        (
            {"dsn": "postgresql://app@localhost/jobs", "pool__max_size": "16"},
            "app@localhost:5432/jobs, TLS if the server supports it",
            "4\N{EN DASH}16 connections",
        ),
        (
            {"dsn": "postgresql:///jobs?host=/tmp&user=app&port=6432", "pool": "null"},
            "app@[/tmp]:6432/jobs, Unix socket",
            "a connection for every call",
        ),
        (
            {"dsn": "host=::1 user=app sslmode=disable", "pool__min_size": "1", "pool__max_size": "1"},
            "app@[::1]:5432/app, no TLS",
            "1 connection",
        ),
        (
            {"dsn": "hostaddr=127.0.0.1,::1 user=app sslmode=allow", "pool": "null", "pool__max_size": "5"},
            "app@127.0.0.1:5432,[::1]:5432/app, TLS if the server requires it",
            "at most 5 connections, none kept",
        ),
    ],
    ids=["tls", "range", "socket", "one", "null"],
)
def test_show_begins_with_connector_server_and_pool_in_one_sentence(
    settings: dict[str, str], location: str, connections: str, folder: Path
) -> None:
    lines = [f"PROCRASTINATE_CONN_{name.upper()}={value}\n" for name, value in settings.items()]
    (folder / ".env").write_text("".join(lines))
    for kind, does in {"psycopg": "async, runs workers", "psycopg2": "sync, defers only"}.items():
        done = run(folder, "show", "--connector", kind, environment={"COLUMNS": "200"})
        assert done.stdout.splitlines()[0] == f"{kind} ({does}) to {location}, {connections}."


def test_invalid_configuration_shows_resolved_values_and_problems(folder: Path) -> None:
    (folder / ".env").write_text(ENV + "PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre\n")
    done = run(folder, "show", "--format", "json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["connection"]["host"]["value"] == "db3,db4"
    assert document["connection"]["sslmode"]["value"] == "requre"
    assert [problem["code"] for problem in document["problems"]] == ["PC205"]
    text = run(folder, "show")
    assert text.returncode == 1
    assert "db3,db4" in text.stdout
    assert "PC205 error" in text.stdout


def test_warning_is_shown_and_exit_status_is_0(folder: Path) -> None:
    done = run(folder, "show", environment={"PGHSOT": "db1"})
    assert done.returncode == 0
    assert "did you mean PGHOST?" in done.stdout


def test_password_read_at_run_time_is_shown_with_its_source(folder: Path) -> None:
    (folder / "password").write_text(SECRET)
    (folder / "password").chmod(0o600)
    (folder / ".env").write_text("PGHOST=localhost\nPROCRASTINATE_CONN_PASSWORD_FILE=password\n")
    assert show_json(folder)["connection"]["password"] == {
        "value": "********",
        "origin": origin("PROCRASTINATE_CONN_PASSWORD_FILE", 2),
        "overrides": [],
    }


@pytest.mark.parametrize("host", ["db1", "localhost", "/tmp"])
def test_password_from_password_file_is_shown_with_its_line(host: str, folder: Path) -> None:
    (folder / ".env").write_text(
        f"PGHOST={host}\nPGUSER=app\nPGDATABASE=jobs\nPGPASSFILE=pgpass\nPGSSLMODE=disable\n"
    )
    (folder / "pgpass").write_text(f"# passwords\nelsewhere:*:*:*:x\n{host}:5432:jobs:app:{SECRET}\n")
    (folder / "pgpass").chmod(0o600)
    password = show_json(folder)["connection"]["password"]
    assert password["value"] == "********"
    assert (password["origin"]["source"], password["origin"]["line"]) == ("passfile", 3)


def test_show_without_libpq_reports_it_as_text(folder: Path) -> None:
    done = run(folder, "show", environment={"PSYCOPG_IMPL": "c"})
    assert (done.returncode, done.stderr) == (1, "")
    assert "PC403" in done.stdout


def test_show_without_libpq_reports_it_as_json(folder: Path) -> None:
    document = show_json(folder, PSYCOPG_IMPL="c")
    assert [problem["code"] for problem in document["problems"]] == ["PC403"]


def test_default_has_same_type_as_configured_value(folder: Path) -> None:
    (folder / ".env").write_text("PROCRASTINATE_CONN_POOL__MAX_IDLE=600\n")
    pool = show_json(folder, "--all")["pool"]
    assert (pool["max_idle"]["value"], pool["max_idle"]["origin"]["line"]) == (600.0, 1)
    values = {option: row["value"] for option, row in pool.items() if row["origin"] is None}
    assert (values["max_lifetime"], values["max_waiting"], values["configure"]) == (3600.0, 0, None)


def test_invalid_port_and_other_parts_of_its_dsn_are_masked(folder: Path) -> None:
    (folder / ".env").write_text(
        "PROCRASTINATE_CONN_DSN=postgresql://app:s3cr,et/jobs\nPROCRASTINATE_CONN_CONNECTION__DBNAME=shop\n"
    )
    connection = show_json(folder)["connection"]
    assert {k: connection[k]["value"] for k in ("host", "port")} == {"host": "********", "port": "********"}
    (folder / ".env").write_text("PROCRASTINATE_CONN_CONNECTION__PORT=s3cret\nPGHOST=db1\n")
    connection = show_json(folder)["connection"]
    assert {k: connection[k]["value"] for k in ("host", "port")} == {"host": "db1", "port": "********"}


def test_port_with_warning_is_shown(folder: Path) -> None:
    dsn = f"postgresql://app:{SECRET}@localhost/jobs"
    port = "PROCRASTINATE_CONN_CONNECTION__PORT"
    (folder / ".env").write_text(f"PROCRASTINATE_CONN_DSN={dsn}\n{port}=5432\n{port}=5433\n")
    document = show_json(folder)
    assert [problem["setting"] for problem in document["problems"]] == ["connection.port"]
    assert document["connection"]["port"]["value"] == "5433"


def test_isolated_show_ignores_process_environment(folder: Path) -> None:
    document = show_json(folder, "--isolated", PGHOST="db9", PROCRASTINATE_CONN_CONNECTION__HOST="db8")
    assert document == show_json(folder)


def test_show_all_as_text_has_overridden_values(folder: Path) -> None:
    environment = {"COLUMNS": "160"}
    assert "not db1,db2" not in run(folder, "show", environment=environment).stdout
    assert "not db1,db2" in run(folder, "show", "--all", environment=environment).stdout


def test_null_pool_is_shown_as_supported(folder: Path) -> None:
    (folder / ".env").write_text(
        "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\nPROCRASTINATE_CONN_POOL=null\n"
    )
    text = run(folder, "show", environment={"COLUMNS": "160"}).stdout
    assert "null" in text
    assert "not support" not in text


def test_settings_beside_connection_and_pool_are_shown(folder: Path) -> None:
    (folder / ".env").write_text(
        "PGHOST=localhost\n"
        "PROCRASTINATE_CONN_JSON_DUMPS=json:dumps\n"
        "PROCRASTINATE_CONN_DEFAULTS=libpq\n"
        f"PROCRASTINATE_CONN_PASSWORD_COMMAND=cat --token={SECRET}\n"
    )
    text = run(folder, "show", environment={"COLUMNS": "160"}).stdout
    assert "json:dumps" in text
    assert "PROCRASTINATE_CONN_DEFAULTS" in text
    assert SECRET not in text
    assert "keepalives_idle" not in text
    document = show_json(folder)
    assert document["json_dumps"]["value"] == "json:dumps"
    assert document["password_command"] == {
        "value": "********",
        "origin": origin("PROCRASTINATE_CONN_PASSWORD_COMMAND", 4),
        "overrides": [],
    }
    assert document["defaults"]["value"] == "libpq"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_characters_that_output_cannot_encode_are_escaped(encoding: str, folder: Path) -> None:
    environment = {
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE": "verify\udcff-full",
        "PYTHONIOENCODING": encoding,
    }
    done = run(folder, "show", environment=environment, new_process=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "verify\\udcff-full" in done.stdout
