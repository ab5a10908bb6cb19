"""Servers that cannot be reached, or do not let us in: one clear line each, and never an exception."""

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
from procrastinate_conn.doctor import connectivity as reach
from procrastinate_conn.doctor import connector, identity, login
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.registry import ConnectorKind
from tests.conftest import apply_schema
from tests.doctor.run_doctor import Examined
from tests.doctor.standby import standby_of
from tests.servers import connector_config, wait_until

SECRET = "marked-secret-9c1e"


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Listen on a port, answer whatever is said with `answer`, and keep the connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(4096):
                if answer:
                    self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_server_that_is_down():
    examined = Examined({"host": "127.0.0.1", "port": str(free_port())})
    assert examined.faults() == {"connect": "fail"}
    assert examined["connect"].message == "127.0.0.1: connection refused"
    assert "listen_addresses" in examined["connect"].hint


def test_a_socket_that_is_not_there(tmp_path):
    examined = Examined({"host": str(tmp_path)})
    assert examined["connect"].message == f"{tmp_path}/.s.PGSQL.5432: no such file or directory"
    assert "unix_socket_directories" in examined["connect"].hint


def test_a_socket_where_python_has_none_is_left_to_the_login(server, database, monkeypatch):
    """As on Windows."""
    plan = connector_config(ConnectorKind.PSYCOPG, server.parameters(database, unix_socket=True))
    patient = Patient(hosts(plan.spec.parameters)[0], plan, True, 1, time.monotonic() + 20)
    monkeypatch.delattr(socket, "AF_UNIX")
    assert list(reach.examine(patient)) == []
    [result] = login.examine(patient)
    assert result.status == "pass"
    patient.session.close()


def test_an_examination_that_breaks_off_is_a_line_of_its_host_and_the_others_go_on(
    server, database, monkeypatch
):
    def examine(_patient):
        raise LookupError(SECRET)
        yield

    address = server.parameters(database)
    two = {**address, "host": "127.0.0.1,127.0.0.1", "port": f"{free_port()},{address['port']}"}
    monkeypatch.setattr(identity, "examine", examine)
    examined = Examined(two)
    assert examined.faults() == {"connect": "fail", "identity": "fail"}
    assert examined["identity"].message.startswith(
        "the examination broke off with LookupError at test_reaching.py:"
    )
    assert examined["schema"].status == examined["connector"].status == "pass"
    assert SECRET not in repr(examined.all())


def test_a_connector_whose_examination_breaks_off_is_a_line_too(address, monkeypatch):
    monkeypatch.setattr(connector, "build", lambda _blueprint: None)
    examined = Examined(address)
    assert examined.faults() == {"connector": "fail"}
    assert "broke off with AttributeError at connector.py:" in examined["connector"].message


def test_a_name_that_nobody_knows():
    examined = Examined({"host": "nowhere.invalid"})
    assert examined.faults() == {"resolve": "fail"}
    assert examined["resolve"].message.startswith("nowhere.invalid cannot be looked up: ")


def test_a_server_that_accepts_and_says_nothing_is_given_up_after_connect_timeout():
    with answering(b"") as port:
        begun = time.monotonic()
        address = {"host": "127.0.0.1", "port": str(port), "connect_timeout": "2", "sslmode": "disable"}
        examined = Examined(address)
        assert time.monotonic() - begun < 20
    assert examined.faults() == {"login": "fail"}
    assert "says nothing" in examined["login"].hint


def test_a_server_that_says_nothing_is_not_asked_for_its_certificate_in_the_time_that_is_left():
    with answering(b"") as port:
        address = {"host": "127.0.0.1", "port": str(port), "connect_timeout": "2", "sslmode": "prefer"}
        examined = Examined(address, seconds=4)
    assert examined.faults() == {"login": "fail"}


def test_the_time_limit_holds_where_connect_timeout_does_not():
    with answering(b"") as port:
        begun = time.monotonic()
        examined = Examined({"host": "127.0.0.1", "port": str(port), "connect_timeout": "600"}, seconds=1.5)
        assert time.monotonic() - begun < 15
    assert examined.faults() == {"login": "fail"}


def test_a_server_that_stops_answering_after_the_login_does_not_outlast_the_time_limit(own_server):
    with gagged(own_server) as port:
        begun = time.monotonic()
        address = {**own_server.parameters("jobs"), "port": str(port)}
        examined = Examined(address, seconds=2)
        assert time.monotonic() - begun < 20
    assert examined["identity"].message == "not finished when the time was up (2 s)"
    assert "--timeout" in examined["identity"].hint


@contextmanager
def gagged(server: EmbeddedPostgres) -> Iterator[int]:
    """Pass a login on to a server, and nothing of what the server says after it is ready."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((server.host, server.port)) as upstream:
                ready = False
                while not ready:
                    asked = self.request.recv(4096)
                    if not asked:
                        return
                    upstream.sendall(asked)
                    answer = upstream.recv(4096)
                    self.request.sendall(answer)
                    ready = b"Z\x00\x00\x00\x05I" in answer
                while self.request.recv(4096):
                    pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy.server_address[1]
        proxy.shutdown()


def test_another_service_on_the_port():
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        examined = Examined({"host": "127.0.0.1", "port": str(port), "connect_timeout": "2"})
    assert examined.faults() == {"login": "fail"}
    assert "check host and port" in examined["login"].hint


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            {"password": SECRET},
            'password authentication failed for user "postgres"',
            'the password comes from argument connection["password"]: correct it',
        ),
        ({"password": ""}, "no password supplied", "no password is set: state one"),
        ({"dbname": "nothing"}, 'database "nothing" does not exist', "create the database"),
        ({"user": "late", "password": SECRET}, 'role "late" is not permitted to log in', "LOGIN"),
        ({"sslmode": "require"}, "server does not support SSL, but SSL was required", "ssl = on"),
    ],
)
def test_a_login_that_is_refused(scram, change, message, hint):
    with scram.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS late")
        connection.execute(f"CREATE ROLE late PASSWORD '{SECRET}'")
    examined = Examined({**scram.parameters("jobs"), **change})
    assert examined.faults() == {"login": "fail"}
    assert message in examined["login"].message
    assert hint in examined["login"].hint
    assert SECRET not in repr(examined.all())


def test_a_role_that_is_not_there(address):
    examined = Examined({**address, "user": "nobody"})
    assert examined["login"].message == 'role "nobody" does not exist'


def test_a_wrong_password_from_a_source_is_told_of_the_source(scram, tmp_path):
    file = tmp_path / "password"
    file.write_text(SECRET)
    address = scram.parameters("jobs")
    del address["password"]
    examined = Examined(address, password_file=file)
    assert examined["login"].hint == (
        "the password comes from password_file (argument password_file): is it up to date?"
    )
    file.unlink()
    examined = Examined(address, password_file=file)
    assert examined["login"].message == (
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
def test_a_password_command_that_fails_is_named_and_its_words_are_not(scram, monkeypatch, command, reason):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 1.0)
    address = scram.parameters("jobs")
    del address["password"]
    examined = Examined(address, password_command=command)
    assert examined["login"].message == (
        f"password_command (argument password_command): the command {reason}"
    )
    assert SECRET not in repr(examined.all())


def test_a_wrong_password_from_the_password_file_is_told_of_its_line(scram, tmp_path):
    address = scram.parameters("jobs")
    del address["password"]
    file = tmp_path / "passwords"
    file.write_text(f"elsewhere:*:*:*:x\n*:{address['port']}:jobs:*:{SECRET}\n")
    file.chmod(0o600)
    examined = Examined({**address, "passfile": str(file)})
    assert examined["login"].hint.startswith(f"the password comes from line 2 of {file}: correct it there")
    file.write_text(f"elsewhere:*:*:*:{SECRET}\n")
    examined = Examined({**address, "passfile": str(file)})
    assert examined["login"].hint.startswith("no password is set: state one, or a line for this connection")


def test_a_password_file_that_may_be_the_password_is_not_named(scram):
    address = scram.parameters("jobs")
    del address["password"]
    examined = Examined({**address, "passfile": f"s/{SECRET}"})
    assert "or a line for this connection in the password file" in examined["login"].hint
    assert SECRET not in repr(examined.all())


def test_no_line_in_pg_hba(own_server):
    (own_server.data / "pg_hba.conf").write_text("local all all trust\n")
    with psycopg.connect(own_server.dsn(unix_socket=True), autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: "pg_hba" in str(Examined(own_server.parameters("jobs")).all()))
    examined = Examined(own_server.parameters("jobs"))
    assert examined["login"].message.startswith('no pg_hba.conf entry for host "127.0.0.1"')
    assert "pg_hba.conf, and reload" in examined["login"].hint


@pytest.mark.subprocess
def test_a_server_that_is_full():
    settings = {"max_connections": "6", "superuser_reserved_connections": "1", "max_wal_senders": "0"}
    with EmbeddedPostgres(settings=settings) as server, ExitStack() as held:
        apply_schema(server, server.create_database("jobs"))
        with server.connect() as connection:
            connection.execute("CREATE ROLE app LOGIN")
        address = {**server.parameters("jobs"), "user": "app"}
        for _ in range(5):
            held.enter_context(psycopg.connect(**address))
        examined = Examined(address)
    assert examined.faults() == {"login": "fail"}
    assert "end sessions that are not needed" in examined["login"].hint


def test_a_limit_that_leaves_one_connection_is_a_line_and_no_exception(server, database, role):
    with server.connect(database) as connection:
        connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    examined = Examined({**server.parameters(database), "user": role})
    assert examined["listen"].status == "fail"
    assert examined["listen"].message == f'too many connections for role "{role}"'
    assert examined["budget"].status == "fail"
    assert f"role {role} allows 1" in examined["budget"].message
    assert f"ALTER ROLE {role} CONNECTION LIMIT" in examined["budget"].hint


def test_several_hosts_each_on_its_own(own_server):
    dead = free_port()
    examined = Examined(
        {
            **own_server.parameters("jobs"),
            "host": f"127.0.0.1,127.0.0.1,{own_server.directory}",
            "port": f"{dead},{own_server.port},{own_server.port}",
        }
    )
    down, tcp, unix = examined.hosts
    assert [str(host) for host in examined.hosts] == [
        f"127.0.0.1:{dead}",
        f"127.0.0.1:{own_server.port}",
        f"{own_server.directory}:{own_server.port}",
    ]
    assert {check.status for check in down.checks} == {"fail"}
    assert {check.status for check in (*tcp.checks, *unix.checks)} == {"pass"}
    assert examined["connector"].status == "pass"
    assert examined["connector"].value["port"] == own_server.port


def test_a_standby_and_its_primary(own_server):
    with standby_of(own_server) as standby:
        alone = Examined(standby.parameters("jobs"))
        assert alone["role"].status == "fail"
        assert alone["role"].message == "standby, read-only: no job can be stored there"
        assert alone["schema"].status == alone["rights"].status == "pass"
        assert alone["connector"].status == "fail"

        both = {
            **own_server.parameters("jobs"),
            "host": "127.0.0.1,127.0.0.1",
            "port": f"{standby.port},{own_server.port}",
        }
        careless = Examined(both)
        assert [(h.port, c.status) for h in careless.hosts for c in h.checks if c.name == "role"] == [
            (str(standby.port), "warning"),
            (str(own_server.port), "pass"),
        ]
        assert "target_session_attrs=read-write" in careless["connector"].hint

        careful = Examined({**both, "target_session_attrs": "read-write"})
        assert careful.faults() == {}
        assert careful["connector"].value["port"] == own_server.port

        unfinished = {**standby.parameters("jobs"), "host": "127.0.0.1,127.0.0.1", "connect_timeout": "2"}
        nowhere = Examined({**unfinished, "target_session_attrs": "read-write"})
        assert nowhere.faults() == {"connector": "fail"}
        assert nowhere["connector"].hint == "none of the hosts is the primary: name it too"


def test_a_primary_that_the_application_passes_over_is_told_in_good_time(own_server):
    begun = time.monotonic()
    examined = Examined(
        {**own_server.parameters("jobs"), "target_session_attrs": "standby", "connect_timeout": "2"}
    )
    assert time.monotonic() - begun < 20
    assert examined.faults() == {"connector": "fail"}
    assert "state target_session_attrs=read-write" in examined["connector"].hint


def test_a_standby_that_takes_no_queries(own_server):
    with own_server.connect() as connection:
        connection.execute("ALTER SYSTEM SET hot_standby = off")
    own_server.stop()
    (own_server.data / "standby.signal").touch()
    own_server.start()
    examined = Examined(own_server.parameters("jobs"))
    assert examined.faults() == {"login": "fail"}
    assert "hot_standby = off" in examined["login"].hint
