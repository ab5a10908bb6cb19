"""Servers that are unreachable, or reject the login: one clear result each, and never an exception."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from procrastinate_conn import passwords
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.demo.postgres import EmbeddedPostgres, free_port
from procrastinate_conn.doctor import connectivity, connector, login, runner
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.registry import ConnectorKind
from tests.conftest import apply_schema
from tests.doctor.run_doctor import DoctorRun
from tests.servers import connector_config, wait_until

SECRET = "marked-secret-9c1e"


def test_names_of_the_checks_are_those_of_the_json_document():
    assert [*runner.CHECKS_WITHOUT_SESSION, *runner.CHECKS] == [
        "resolve", "connect", "login", "tls", "identity", "role", "clock", "schema", "rights", "pooler",
        "listen", "prepared", "budget", "timeouts",
    ]  # fmt: skip


@contextmanager
def responding(response: bytes) -> Iterator[int]:
    """Listen on a port, respond to everything with `response`, and keep the connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(4096):
                if response:
                    self.request.sendall(response)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_refused_connection_fails_connect():
    doctor = DoctorRun({"host": "127.0.0.1", "port": str(free_port())})
    assert doctor.problems() == {"connect": "fail"}
    assert doctor["connect"].message == "127.0.0.1: connection refused"
    assert "listen_addresses" in doctor["connect"].hint


def test_missing_unix_socket_fails_connect(tmp_path):
    doctor = DoctorRun({"host": str(tmp_path)})
    assert doctor["connect"].message == f"{tmp_path}/.s.PGSQL.5432: no such file or directory"
    assert "unix_socket_directories" in doctor["connect"].hint


def test_unix_socket_that_python_does_not_support_is_left_to_the_login(server, database, monkeypatch):
    """As on Windows."""
    config = connector_config(ConnectorKind.PSYCOPG, server.parameters(database, unix_socket=True))
    context = HostContext(hosts(config.spec.parameters)[0], config, 1, time.monotonic() + 20)
    monkeypatch.delattr(socket, "AF_UNIX")
    assert connectivity.resolve(context) is None
    assert connectivity.connect(context) is None
    result = login.run(context)
    assert result.status == "pass"
    context.session.close()


def test_exception_in_a_check_is_a_failure_and_the_other_checks_run(server, database, monkeypatch):
    def fail(_context):
        raise LookupError(SECRET)

    address = server.parameters(database)
    two = {**address, "host": "127.0.0.1,127.0.0.1", "port": f"{free_port()},{address['port']}"}
    monkeypatch.setattr(runner, "CHECKS", {**runner.CHECKS, "identity": fail})
    doctor = DoctorRun(two)
    assert doctor.problems() == {"connect": "fail", "identity": "fail"}
    assert doctor["identity"].message.startswith(
        "the check failed with LookupError at test_hosts_and_login.py:"
    )
    assert doctor["schema"].status == doctor["connector"].status == "pass"
    assert SECRET not in repr(doctor.results())


def test_exception_in_the_connector_check_is_a_failure(address, monkeypatch):
    monkeypatch.setattr(connector, "PoolOptions", None)
    doctor = DoctorRun(address)
    assert doctor.problems() == {"connector": "fail"}
    assert "the check failed with TypeError at connector.py:" in doctor["connector"].message


def test_unknown_host_name_fails_resolve():
    doctor = DoctorRun({"host": "nowhere.invalid"})
    assert doctor.problems() == {"resolve": "fail"}
    assert doctor["resolve"].message.startswith("nowhere.invalid cannot be resolved: ")


def test_unresponsive_server_fails_login_after_connect_timeout():
    with responding(b"") as port:
        started = time.monotonic()
        address = {"host": "127.0.0.1", "port": str(port), "connect_timeout": "2", "sslmode": "disable"}
        doctor = DoctorRun(address)
        assert time.monotonic() - started < 20
    assert doctor.problems() == {"login": "fail"}
    assert "does not respond" in doctor["login"].hint


def test_unresponsive_server_is_not_checked_for_tls():
    with responding(b"") as port:
        address = {"host": "127.0.0.1", "port": str(port), "connect_timeout": "2", "sslmode": "prefer"}
        doctor = DoctorRun(address, seconds=4)
    assert doctor.problems() == {"login": "fail"}


def test_time_limit_holds_with_a_longer_connect_timeout():
    with responding(b"") as port:
        started = time.monotonic()
        doctor = DoctorRun({"host": "127.0.0.1", "port": str(port), "connect_timeout": "600"}, seconds=1.5)
        assert time.monotonic() - started < 15
    assert doctor.problems() == {"login": "fail"}


def test_server_that_stops_responding_after_the_login_fails_at_the_time_limit(server, address):
    with muted_after_login(server) as port:
        started = time.monotonic()
        address = {**address, "port": str(port)}
        doctor = DoctorRun(address, seconds=2)
        assert time.monotonic() - started < 20
    assert doctor["identity"].message == "not finished within the time limit (2 s)"
    assert "--timeout" in doctor["identity"].hint


@contextmanager
def muted_after_login(server: EmbeddedPostgres) -> Iterator[int]:
    """Forward a login to a server, and nothing that the server sends after it is ready."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((server.host, server.port)) as upstream:
                ready = False
                while not ready:
                    request = self.request.recv(4096)
                    if not request:
                        return
                    upstream.sendall(request)
                    response = upstream.recv(4096)
                    self.request.sendall(response)
                    ready = b"Z\x00\x00\x00\x05I" in response
                while self.request.recv(4096):
                    pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy.server_address[1]
        proxy.shutdown()


def test_other_service_on_the_port_fails_login():
    with responding(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        doctor = DoctorRun({"host": "127.0.0.1", "port": str(port), "connect_timeout": "2"})
    assert doctor.problems() == {"login": "fail"}
    assert "check host and port" in doctor["login"].hint


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            {"password": SECRET},
            'password authentication failed for user "postgres"',
            'the password comes from argument connection["password"]: correct it',
        ),
        (
            {"password": ""},
            "no password supplied",
            "no password is set: set PROCRASTINATE_CONN_CONNECTION__PASSWORD",
        ),
        ({"dbname": "nothing"}, 'database "nothing" does not exist', "create the database"),
        ({"user": "late", "password": SECRET}, 'role "late" is not permitted to log in', "LOGIN"),
        ({"sslmode": "require"}, "server does not support SSL, but SSL was required", "ssl = on"),
    ],
)
def test_rejected_login_fails_with_its_reason_and_a_hint(scram, change, message, hint):
    with scram.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS late")
        connection.execute(f"CREATE ROLE late PASSWORD '{SECRET}'")
    doctor = DoctorRun({**scram.parameters("jobs"), **change})
    assert doctor.problems() == {"login": "fail"}
    assert message in doctor["login"].message
    assert hint in doctor["login"].hint
    assert SECRET not in repr(doctor.results())


def test_missing_role_fails_login(address):
    doctor = DoctorRun({**address, "user": "nobody"})
    assert doctor["login"].message == 'role "nobody" does not exist'


def test_wrong_password_from_a_file_names_the_setting(scram, tmp_path):
    file = tmp_path / "password"
    file.write_text(SECRET)
    address = scram.parameters("jobs")
    del address["password"]
    doctor = DoctorRun(address, password_file=file)
    assert doctor["login"].hint == (
        "the password comes from password_file (argument password_file): is it up to date?"
    )
    file.unlink()
    doctor = DoctorRun(address, password_file=file)
    assert doctor["login"].message == (
        f"password_file (argument password_file): {file} cannot be used: No such file or directory"
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (f"nowhere-{SECRET}", "cannot be started: No such file or directory; it is run without a shell"),
        (f"cat nowhere-{SECRET}", "ended with status 1"),
        (f"sleep 60 {SECRET}", "ended with status 1"),
        ("sleep 60", "took longer than 1 s"),
    ],
)
def test_failing_password_command_is_reported_without_its_words(scram, monkeypatch, command, reason):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 1.0)
    address = scram.parameters("jobs")
    del address["password"]
    doctor = DoctorRun(address, password_command=command)
    assert doctor["login"].message == (f"password_command (argument password_command): the command {reason}")
    assert SECRET not in repr(doctor.results())


def test_wrong_password_from_the_password_file_names_its_line(scram, tmp_path):
    address = scram.parameters("jobs")
    del address["password"]
    file = tmp_path / "passwords"
    file.write_text(f"elsewhere:*:*:*:x\n*:{address['port']}:jobs:*:{SECRET}\n")
    file.chmod(0o600)
    doctor = DoctorRun({**address, "passfile": str(file)})
    assert doctor["login"].hint.startswith(f"the password comes from line 2 of {file}: correct it there")
    file.write_text(f"elsewhere:*:*:*:{SECRET}\n")
    doctor = DoctorRun({**address, "passfile": str(file)})
    assert doctor["login"].hint.startswith(
        "no password is set: set PROCRASTINATE_CONN_CONNECTION__PASSWORD, or add a line for"
    )


def test_password_file_that_may_be_a_password_is_not_shown(scram):
    address = scram.parameters("jobs")
    del address["password"]
    doctor = DoctorRun({**address, "passfile": f"s/{SECRET}"})
    assert "or add a line for this connection to the password file" in doctor["login"].hint
    assert SECRET not in repr(doctor.results())


def test_missing_line_in_pg_hba_fails_login(scram):
    file, address = scram.data / "pg_hba.conf", scram.parameters("jobs")
    rules = file.read_text()
    with scram.connect() as connection:
        file.write_text("local all all trust\n")
        connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: "pg_hba" in str(DoctorRun(address).results()))
        doctor = DoctorRun(address)
        file.write_text(rules)
        connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: "pg_hba" not in str(DoctorRun(address).results()))
    assert doctor["login"].message.startswith('no pg_hba.conf entry for host "127.0.0.1"')
    assert "pg_hba.conf, and reload" in doctor["login"].hint


@pytest.mark.subprocess
def test_server_without_free_connections_fails_login():
    settings = {"max_connections": "6", "superuser_reserved_connections": "1", "max_wal_senders": "0"}
    with EmbeddedPostgres(settings=settings) as server, ExitStack() as opened:
        apply_schema(server, server.create_database("jobs"))
        with server.connect() as connection:
            connection.execute("CREATE ROLE app LOGIN")
        address = {**server.parameters("jobs"), "user": "app"}
        for _ in range(5):
            opened.enter_context(psycopg.connect(**address))
        doctor = DoctorRun(address)
    assert doctor.problems() == {"login": "fail"}
    assert "end sessions that are not needed" in doctor["login"].hint


def test_connection_limit_of_one_fails_listen_and_budget(server, database, role):
    with server.connect(database) as connection:
        connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    doctor = DoctorRun({**server.parameters(database), "user": role})
    assert doctor["listen"].status == "fail"
    assert doctor["listen"].message == f'too many connections for role "{role}"'
    assert doctor["budget"].status == "fail"
    assert f"role {role} allows 1" in doctor["budget"].message
    assert f"ALTER ROLE {role} CONNECTION LIMIT" in doctor["budget"].hint


def test_each_of_several_hosts_is_checked_on_its_own(server, address):
    dead = free_port()
    hosts = f"127.0.0.1,127.0.0.1,{server.directory}"
    doctor = DoctorRun({**address, "host": hosts, "port": f"{dead},{server.port},{server.port}"})
    down, tcp, unix = doctor.hosts
    assert [str(host) for host in doctor.hosts] == [
        f"127.0.0.1:{dead}",
        f"127.0.0.1:{server.port}",
        f"{server.directory}:{server.port}",
    ]
    assert {check.status for check in down.checks} == {"fail"}
    assert {check.status for check in (*tcp.checks, *unix.checks)} == {"pass"}
    assert doctor["connector"].status == "pass"
    assert doctor["connector"].value["port"] == server.port


def test_standby_fails_alone_and_passes_beside_its_primary_with_read_write(own_server):
    with EmbeddedPostgres(primary=own_server) as standby:
        alone = DoctorRun(standby.parameters("jobs"))
        assert alone["role"].status == "fail"
        assert alone["role"].message == "standby, read-only: no job can be stored there"
        assert alone["schema"].status == alone["rights"].status == "pass"
        assert alone["connector"].status == "fail"

        both = {
            **own_server.parameters("jobs"),
            "host": "127.0.0.1,127.0.0.1",
            "port": f"{standby.port},{own_server.port}",
        }
        unordered = DoctorRun(both)
        assert [(h.port, c.status) for h in unordered.hosts for c in h.checks if c.name == "role"] == [
            (str(standby.port), "warning"),
            (str(own_server.port), "pass"),
        ]
        assert "TARGET_SESSION_ATTRS=read-write" in unordered["connector"].hint

        read_write = DoctorRun({**both, "target_session_attrs": "read-write"})
        assert read_write.problems() == {}
        assert read_write["connector"].value["port"] == own_server.port

        standbys = {**standby.parameters("jobs"), "host": "127.0.0.1,127.0.0.1", "connect_timeout": "2"}
        no_primary = DoctorRun({**standbys, "target_session_attrs": "read-write"})
        assert no_primary.problems() == {"connector": "fail"}
        assert no_primary["connector"].hint == "none of the hosts is the primary: add it"


def test_primary_that_target_session_attrs_skips_fails_the_connector_in_time(address):
    started = time.monotonic()
    doctor = DoctorRun({**address, "target_session_attrs": "standby", "connect_timeout": "2"})
    assert time.monotonic() - started < 20
    assert doctor.problems() == {"connector": "fail"}
    assert "TARGET_SESSION_ATTRS=read-write" in doctor["connector"].hint


def test_standby_with_hot_standby_off_fails_login(own_server):
    with own_server.connect() as connection:
        connection.execute("ALTER SYSTEM SET hot_standby = off")
    own_server.stop()
    (own_server.data / "standby.signal").touch()
    own_server.start()
    doctor = DoctorRun(own_server.parameters("jobs"))
    assert doctor.problems() == {"login": "fail"}
    assert "hot_standby = off" in doctor["login"].hint
