"""Poolers: seen, told apart, and what does not go through them."""

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
from procrastinate_conn.doctor import prepared_statements as prepared
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.runner import _examined
from procrastinate_conn.registry import ConnectorKind
from tests.doctor.run_doctor import Examined
from tests.pgbouncer.bouncer import COMMAND, PgBouncer, version
from tests.servers import KINDS, connector_config, wait_until

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
    """Return how many clients wait for a session, asked on PgBouncer's console."""
    with psycopg.connect(
        **bouncer.parameters("pgbouncer"), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as console:
        rows = console.cursor(row_factory=dict_row).execute("SHOW POOLS").fetchall()
    return sum(row["cl_waiting"] for row in rows if row["database"] == database)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pooler_in_transaction_mode(kind, bouncer, database):
    examined = Examined(bouncer.parameters(database), kind, pool={"prepare_threshold": None})
    assert examined["pooler"].message == "one is between, in transaction mode"
    if kind in ("psycopg", "aiopg"):
        assert examined.faults() == {"listen": "fail"}
        assert "settings/pgbouncer.env" in examined["listen"].hint
    else:
        assert examined.faults() == {}
        assert examined["listen"].message.endswith(f"{kind} does not listen")
    assert "default_pool_size" in examined["budget"].message


@pytest.mark.skipif(version() >= (1, 21), reason="PgBouncer keeps prepared queries from 1.21 on")
@pytest.mark.parametrize("kind", ["psycopg", "sync-psycopg"])
def test_prepared_queries_do_not_go_through_it(kind, bouncer, database):
    examined = Examined(bouncer.parameters(database), kind)
    assert examined["prepared"].status == "fail"
    assert "pool.prepare_threshold=none" in examined["prepared"].hint


@pytest.mark.skipif(version() < (1, 21), reason="PgBouncer keeps prepared queries from 1.21 on")
@pytest.mark.parametrize("bouncer", ["max_prepared_statements = 100"], indirect=True)
def test_a_pooler_that_keeps_prepared_queries(bouncer, database):
    assert Examined(bouncer.parameters(database))["prepared"].message == (
        "prepared queries go through the pooler"
    )


@pytest.mark.parametrize("bouncer", ["default_pool_size = 1"], indirect=True)
def test_a_pooler_with_one_session_is_no_proof(bouncer, database, monkeypatch):
    monkeypatch.setattr(pooler, "ANSWER_WITHIN", 1.0)
    examined = Examined(bouncer.parameters(database))
    assert examined["pooler"].value == {"mode": "transaction"}
    assert examined["prepared"].status == "warning"
    assert "could not be told" in examined["prepared"].message


@pytest.mark.parametrize("bouncer", ["default_pool_size = 1"], indirect=True)
def test_a_pooler_that_never_answers_again_is_no_proof_either(bouncer, database, monkeypatch):
    """Another client takes the only session while the doctor's two wait for it."""
    monkeypatch.setattr(pooler, "ANSWER_WITHIN", 0.5)
    plan = connector_config(ConnectorKind.PSYCOPG, bouncer.parameters(database))
    [host] = hosts(plan.spec.parameters)
    patient = Patient(host, plan, True, 1, monotonic() + 20, host.name, True, pooler="transaction")
    with closing(psycopg.connect(**bouncer.parameters(database), autocommit=True)) as third:

        def backend(connection):
            found = pooler.backend(connection)
            third.pgconn.send_query(b"BEGIN")  # and waits, first in the queue
            third.pgconn.flush()
            wait_until(lambda: waiting(bouncer, database))
            return found

        monkeypatch.setattr(prepared, "backend", backend)
        [result] = _examined(prepared, patient)
    assert result.status == "warning"
    assert "could not be told" in result.message


@pytest.mark.parametrize("bouncer", ["pool_mode = session\ndefault_pool_size = 1"], indirect=True)
def test_a_pooler_in_session_mode_with_one_session_does_not_hold_the_doctor_up(
    bouncer, database, monkeypatch
):
    monkeypatch.setattr(pooler, "ANSWER_WITHIN", 0.5)
    monkeypatch.setattr(listen, "STEP", 1.0)
    examined = Examined(bouncer.parameters(database))
    assert examined.faults() == {"listen": "fail"}
    assert examined["pooler"].value == {"mode": "unknown"}
    assert "or to have no second session" in examined["listen"].message


@pytest.mark.parametrize("bouncer", ["pool_mode = session"], indirect=True)
def test_a_pooler_in_session_mode(bouncer, database):
    examined = Examined(bouncer.parameters(database))
    assert examined.faults() == {}
    assert examined["pooler"].message == "one is between, in session mode, as far as can be told"
    assert examined["listen"].message.startswith("NOTIFY is delivered")


def test_nothing_is_left_prepared_or_listening_in_the_servers_sessions(bouncer, database):
    Examined(bouncer.parameters(database))
    with psycopg.connect(**bouncer.parameters(database), autocommit=True) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'procrastinate%'"
        ).fetchone()
        channels = connection.execute("SELECT count(*) FROM pg_listening_channels()").fetchone()
    assert (left, channels) == ((0,), (0,))


def test_options_that_the_pooler_refuses(bouncer, database):
    examined = Examined({**bouncer.parameters(database), "options": "-c statement_timeout=5s"})
    assert examined["login"].status == "fail"
    assert "ignore_startup_parameters" in examined["login"].hint
