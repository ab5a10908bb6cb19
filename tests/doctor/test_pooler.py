"""Poolers: detection, their mode, and the features that they do not support."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from time import monotonic

import psycopg
import pytest
from psycopg.rows import dict_row

from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.doctor import listen, pooler
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.runner import run_check
from procrastinate_conn.registry import ConnectorKind
from tests.doctor.run_doctor import DoctorRun
from tests.pgbouncer.bouncer import COMMAND, PgBouncer, version
from tests.servers import ASYNC_KINDS, KINDS, connector_config, wait_until

pytestmark = pytest.mark.skipif(COMMAND is None, reason="pgbouncer is not installed")


@pytest.fixture(params=["pool_mode = transaction"])
def bouncer(server: EmbeddedPostgres, request) -> Iterator[PgBouncer]:
    """PgBouncer before the tests' server, with a setting of the test's."""
    bouncer = PgBouncer(server)
    with bouncer._configuration.open("a") as configuration:
        configuration.write(f"{request.param}\n")  # the last one counts
    with bouncer:
        yield bouncer


def waiting(bouncer: PgBouncer, database: str) -> int:
    """Return how many clients wait for a session, from PgBouncer's console."""
    with psycopg.connect(
        **bouncer.parameters("pgbouncer"), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as console:
        rows = console.cursor(row_factory=dict_row).execute("SHOW POOLS").fetchall()
    return sum(row["cl_waiting"] for row in rows if row["database"] == database)


@pytest.mark.parametrize("kind", KINDS)
def test_transaction_mode_is_detected_and_fails_listen_of_kinds_that_listen(kind, bouncer, server, database):
    doctor = DoctorRun(bouncer.parameters(database), kind, pool={"prepare_threshold": None})
    assert doctor["pooler"].message == "there is one in between, in transaction mode"
    if kind in ASYNC_KINDS:
        assert doctor.problems() == {"listen": "fail"}
        assert "PROCRASTINATE_CONN_LISTEN__HOST" in doctor["listen"].hint
    else:
        assert doctor.problems() == {}
        assert doctor["listen"].message.endswith(f"{kind} does not listen")
    assert "default_pool_size" in doctor["budget"].message
    pooler = f"{kind} connects to 127.0.0.1:{bouncer.parameters(database)['port']}"
    assert doctor["connector"].message.startswith(f"{pooler}, which forwards to 127.0.0.1:{server.port}, ")


@pytest.mark.skipif(version() >= (1, 21), reason="PgBouncer keeps prepared statements from 1.21 on")
@pytest.mark.parametrize("kind", ["psycopg", "sync-psycopg"])
def test_pooler_that_loses_prepared_statements_fails(kind, bouncer, database):
    doctor = DoctorRun(bouncer.parameters(database), kind)
    assert doctor["prepared"].status == "fail"
    assert "PREPARE_THRESHOLD=none" in doctor["prepared"].hint


@pytest.mark.skipif(version() < (1, 21), reason="PgBouncer keeps prepared statements from 1.21 on")
@pytest.mark.parametrize("bouncer", ["max_prepared_statements = 100"], indirect=True)
def test_pooler_that_keeps_prepared_statements_passes(bouncer, database):
    assert DoctorRun(bouncer.parameters(database))["prepared"].message == (
        "the pooler keeps prepared statements"
    )


@pytest.mark.parametrize("bouncer", ["default_pool_size = 1"], indirect=True)
def test_prepared_is_undetermined_with_a_single_session(bouncer, database, monkeypatch):
    monkeypatch.setattr(pooler, "RESULT_TIMEOUT", 1.0)
    doctor = DoctorRun(bouncer.parameters(database))
    assert doctor["pooler"].value == {"mode": "transaction"}
    assert doctor["prepared"].status == "warning"
    assert "could not be determined" in doctor["prepared"].message


@pytest.mark.parametrize("bouncer", ["default_pool_size = 1"], indirect=True)
def test_prepared_is_undetermined_if_another_client_takes_the_only_session(bouncer, database, monkeypatch):
    """Another client takes it while the doctor's two wait for it."""
    monkeypatch.setattr(pooler, "RESULT_TIMEOUT", 0.5)
    config, original = (
        connector_config(ConnectorKind.PSYCOPG, bouncer.parameters(database)),
        pooler.backend_pid,
    )
    [host] = hosts(config.spec.parameters)
    context = HostContext(host, config, 1, monotonic() + 20, host.name, True, pooler="transaction")
    with closing(psycopg.connect(**bouncer.parameters(database), autocommit=True)) as third:

        def backend_pid(connection):
            pid = original(connection)
            third.pgconn.send_query(b"BEGIN")  # and waits, first in the queue
            third.pgconn.flush()
            wait_until(lambda: waiting(bouncer, database))
            return pid

        monkeypatch.setattr(pooler, "backend_pid", backend_pid)
        [result] = run_check("prepared", pooler.check_prepared_statements, context)
    assert result.status == "warning"
    assert "could not be determined" in result.message


@pytest.mark.parametrize("bouncer", ["pool_mode = session\ndefault_pool_size = 1"], indirect=True)
def test_session_mode_with_a_single_session_fails_listen_within_the_timeout(bouncer, database, monkeypatch):
    monkeypatch.setattr(pooler, "RESULT_TIMEOUT", 0.5)
    monkeypatch.setattr(listen, "QUERY_TIMEOUT", 0.5)
    doctor = DoctorRun(bouncer.parameters(database))
    assert doctor.problems() == {"listen": "fail"}
    assert doctor["pooler"].value == {"mode": "unknown"}
    assert "or to have no second session" in doctor["listen"].message


@pytest.mark.parametrize("bouncer", ["pool_mode = session"], indirect=True)
def test_session_mode_is_detected_and_passes(bouncer, database):
    doctor = DoctorRun(bouncer.parameters(database))
    assert doctor.problems() == {}
    assert doctor["pooler"].message == "there is one in between, in session mode, as far as can be detected"
    assert doctor["listen"].message.startswith("NOTIFY is delivered")


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_both_set_ups_for_workers_behind_transaction_mode_are_in_order(kind, bouncer, server, database):
    """Workers listen past the pooler, or poll."""
    pooled = {"address": bouncer.parameters(database), "kind": kind, "pool": {"prepare_threshold": None}}
    polling = DoctorRun(**pooled, listen="off")
    assert polling.problems() == {}
    assert polling["listen"].message == "workers poll: listen is off"
    past = DoctorRun(**pooled, listen={"host": server.host, "port": str(server.port)}, processes=3)
    assert past.problems() == {}
    [main, direct] = past.hosts
    assert [result.message for result in main.checks if result.name == "listen"] == [
        "workers listen on another connection"
    ]
    assert direct.listen
    assert str(direct).endswith(f":{server.port} (listen)")
    found = {result.name: result.message for result in direct.checks}
    assert found["listen"].startswith("NOTIFY is delivered")
    assert found["budget"].startswith("3 processes open 3 connections to LISTEN; ")


def test_listening_in_another_database_fails(bouncer, server, database, monkeypatch):
    monkeypatch.setattr(listen, "QUERY_TIMEOUT", 0.5)
    other = server.create_database()
    doctor = DoctorRun(
        bouncer.parameters(database),
        pool={"prepare_threshold": None},
        listen={"host": server.host, "port": str(server.port), "dbname": other},
    )
    assert doctor.problems() == {"listen": "fail"}
    [failure] = [result for result in doctor.results() if result.status == "fail"]
    assert "in another database" in failure.message


def test_doctor_leaves_no_prepared_statement_and_no_channel(bouncer, database):
    DoctorRun(bouncer.parameters(database))
    with psycopg.connect(**bouncer.parameters(database), autocommit=True) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'procrastinate%'"
        ).fetchone()
        channels = connection.execute("SELECT count(*) FROM pg_listening_channels()").fetchone()
    assert (left, channels) == ((0,), (0,))


def test_startup_options_that_the_pooler_rejects_fail_the_login(bouncer, database):
    doctor = DoctorRun({**bouncer.parameters(database), "options": "-c statement_timeout=5s"})
    assert doctor["login"].status == "fail"
    assert "ignore_startup_parameters" in doctor["login"].hint
