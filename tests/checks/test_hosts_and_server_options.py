"""Hosts and server options are reported exactly if the resolver and the server reject them."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest

from procrastinate_conn import make_connector
from procrastinate_conn.checks import hosts, values
from procrastinate_conn.configuration import configure
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.sources.arguments import read_call
from tests.checks.running import SECRET, run

P = "PROCRASTINATE_CONN_"

IMPOSSIBLE = {
    "localhost:5432": "colon",
    "127.0.0.1:5432": "colon",
    "[::1]": "brackets",
    "[::1]:5432": "brackets",
    "app@localhost": "@",
    "localhost/jobs": "slash",
    "./sockets": "slash",
    "~/sockets": "slash",
    " localhost": "blank",
    "localhost ": "blank",
    "local host": "blank",
    "$PGHOST": "$",
    "<host>": "character",
    "'localhost'": "quote",
    '"localhost"': "quote",
    "db1;db2": "character",
    "db..localhost": "dot",
    ".localhost": "dot",
}


@pytest.mark.parametrize("host", IMPOSSIBLE)
def test_impossible_host_is_reported_and_cannot_be_resolved(host: str) -> None:
    configuration = configure([read_call({"connection": {"host": f"localhost,{host}"}})])
    [problem] = hosts.check(configuration)
    assert problem.code == "PC214"
    assert IMPOSSIBLE[host] in problem.message
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(host.encode(), 5432)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "::1",
        "fe80::1%eth0",
        "/var/run/postgresql",
        "@abstract",
        "C:\\sockets",
        "C:/sockets",
        "db_1.example-2.com",
        "bücher.example",
        "",
    ],
)
def test_possible_host_is_not_reported(host: str) -> None:
    configuration = configure([read_call({"connection": {"host": host}})])
    assert list(hosts.check(configuration)) == []


def test_each_fault_in_a_list_of_hosts_is_reported_once() -> None:
    connection = {"host": "db1:5432,db2:5432,db 3,db4", "port": "5432"}
    found = hosts.check(configure([read_call({"connection": connection})]))
    assert [problem.message.split(":")[0] for problem in found] == ["'db1", "the value is not a host"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"dsn": "postgresql://app:p@ss@localhost/jobs"},
        {"connection": {"host": "localhost:5432", "options": "search_path=jobs"}},
        {"dsn": "host=localhost, dbname=jobs, user=app"},
        {"dsn": ""},
    ],
)
def test_impossible_host_does_not_keep_a_connector_from_being_built(
    arguments: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_connector(**arguments)  # type: ignore[arg-type]


@pytest.mark.subprocess
def test_impossible_host_in_a_service_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "pg_service.conf").write_text("[jobs]\nhost=localhost:5432\n")
    (tmp_path / "pg_service.conf").chmod(0o600)
    (tmp_path / ".env").write_text("PGSERVICE=jobs\nPGSERVICEFILE=pg_service.conf\n")
    done = run(tmp_path, "check")
    assert "pg_service.conf:2: PC214 error: 'localhost:5432' is not a host" in done.stdout


@pytest.mark.subprocess
@pytest.mark.parametrize("password", [f"p@{SECRET}", f"{SECRET}@", f"@{SECRET}", f"{SECRET}@{SECRET}@x"])
def test_rest_of_a_password_is_not_shown_as_a_host(password: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{P}DSN=postgresql://app:{password}@localhost/jobs\n")
    for command in (["check"], ["check", "--format", "json"], ["show", "--all"]):
        done = run(tmp_path, *command)
        assert SECRET not in done.stdout + done.stderr
    assert "PC214" in run(tmp_path, "check").stdout


OPTIONS = [
    "",
    "   ",
    "-c search_path=jobs",
    " \t-csearch_path=jobs",
    "--search_path=jobs",
    "--search-path=jobs -c timezone=UTC",
    "\\-c search_path=jobs",
    "-c search_path=jobs,\\ public",
    "-t pl -c search_path=jobs",
    "-sc search_path=jobs",
    "--",
    "-j",
    "-W 0",
    "search_path=jobs",
    "-c search_path=jobs statement_timeout=5000",
    "--search_path=jobs public",
    "-c search_path = jobs",
    "-c search_path",
    "--search_path",
    "'-c search_path=jobs'",
    "-c 'search_path=jobs'",
    '-c"search_path=jobs"',
    "endpoint",
    "-c search_path=jobs -c",
    "-c%20search_path%3Djobs",
    "-c search_path=jobs --",
    "-c endpoint",
]


@pytest.mark.parametrize("text", OPTIONS)
def test_options_are_reported_exactly_if_the_server_rejects_them(text: str, server: EmbeddedPostgres) -> None:
    configuration = configure([read_call({"connection": {"host": "localhost", "options": text}})])
    found = [problem.code for problem in values.check(configuration)]
    try:
        psycopg.connect(server.dsn(), options=text).close()
    except psycopg.OperationalError:
        assert found == ["PC215"]
    else:
        assert found == []


@pytest.mark.parametrize("name", values.PROXY_SETTINGS)
def test_proxy_setting_in_options_is_not_reported(name: str) -> None:
    connection = {"host": "localhost", "options": f"{name}=quiet-lake -c search_path=jobs"}
    assert list(values.check(configure([read_call({"connection": connection})]))) == []
