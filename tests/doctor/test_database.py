"""What is in the database: procrastinate's schema, the rights on it, timeouts, and room for connections."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.doctor.run_doctor import Examined
from tests.servers import KINDS, app, connector, wait_until

pytestmark = pytest.mark.subprocess

MIGRATIONS = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
RECENT = [file.name for file in MIGRATIONS if file.name >= "03."]
EXAMINATIONS = [
    "connect", "login", "tls", "identity", "role", "clock", "schema", "rights", "pooler", "listen", "budget",
    "timeouts",
]  # fmt: skip


@pytest.fixture
def empty(server):
    """The name of an empty database."""
    name = server.create_database()
    yield name
    server.drop_database(name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_server_is_in_order_for_each_kind(kind, address):
    examined = Examined(address, kind)
    assert examined.faults() == {}
    [host] = examined.hosts
    assert [check.name for check in host.checks] == EXAMINATIONS
    assert examined["connector"].message.startswith(f"{kind} gets to 127.0.0.1:{address['port']}, read-write")
    assert examined["identity"].value["current_user"] == "postgres"
    assert abs(examined["clock"].value["seconds_ahead"]) < 1


def test_a_healthy_server_of_another_version_by_name_and_by_socket():
    with EmbeddedPostgres(version=16) as server:
        apply_schema(server, server.create_database("jobs"))
        by_name = Examined({**server.parameters("jobs"), "host": "localhost"})
        by_socket = Examined(server.parameters("jobs", unix_socket=True))
    assert by_name.faults() == by_socket.faults() == {}
    assert "127.0.0.1" in by_name["resolve"].value["addresses"]
    assert by_socket["connect"].message.startswith("the Unix socket accepts")
    assert by_socket["identity"].value["server_version"].startswith("16.")


def test_a_read_only_session_is_enough_and_none_is_left(permitted, server, database):
    with server.connect(database) as connection:
        connection.execute(f"ALTER ROLE {permitted['user']} SET default_transaction_read_only = on")
        examined = Examined(permitted)
        ours = "SELECT FROM pg_stat_activity WHERE usename = %s"
        wait_until(lambda: connection.execute(ours, [permitted["user"]]).rowcount == 0)
    assert examined.faults() == {"role": "fail", "connector": "fail"}
    assert examined["role"].message.startswith("primary, but default_transaction_read_only is on")
    assert "NOTIFY is delivered" in examined["listen"].message


def test_no_schema(server, empty):
    examined = Examined(server.parameters(empty))
    assert examined.faults() == {"schema": "fail"}
    assert examined["schema"].message == "procrastinate's tables are not there"
    assert examined["schema"].hint == "python -m procrastinate --app=module.app schema --apply"


def test_a_schema_that_is_not_on_the_search_path(server, empty):
    with server.connect(empty) as connection:
        connection.execute('CREATE SCHEMA "My Jobs"; SET search_path = "My Jobs"')
        connection.execute(SchemaManager.get_schema())
    examined = Examined(server.parameters(empty))
    assert examined.faults() == {"schema": "fail"}
    assert "in the schema My Jobs, which is not on the search_path" in examined["schema"].message

    there = Examined({**server.parameters(empty), "options": r"-c search_path=\"My\ Jobs\""})
    assert there.faults() == {}
    assert there["schema"].message.startswith('in "My Jobs", as procrastinate')


def test_a_schema_that_the_role_may_not_use(server, empty, role):
    with server.connect(empty) as connection:
        connection.execute("CREATE SCHEMA jobs; SET search_path = jobs")
        connection.execute(SchemaManager.get_schema())
    examined = Examined({**server.parameters(empty), "user": role, "options": "-c search_path=jobs"})
    assert examined["schema"].hint == f"GRANT USAGE ON SCHEMA jobs TO {role}"


def test_every_schema_since_3_0_is_told_from_the_present_one(server, empty):
    """Migrations are applied one by one; until the last one, the next one is named."""
    with server.connect(empty) as connection:
        for number, file in enumerate(MIGRATIONS):
            connection.execute(file.read_text())
            if file.name not in RECENT:
                continue
            schema = Examined(server.parameters(empty))["schema"]
            remaining = [later.name for later in MIGRATIONS[number + 1 :]]
            if not remaining:
                assert schema.status == "pass"
                return
            assert schema.status in ("fail", "warning"), file.name
            named = schema.hint.split()[4]
            assert named in remaining, file.name
            skipped = remaining[: remaining.index(named)]
            # What only drops things that are not needed any more leaves nothing to tell it by.
            assert not any("CREATE" in (file.parent / name).read_text() for name in skipped), file.name


def test_a_dropped_function_is_named(server, database, address):
    with server.connect(database) as connection:
        connection.execute("DROP FUNCTION procrastinate_fetch_job_v2")
    examined = Examined(address)
    assert examined.faults() == {"schema": "fail"}
    assert "needs the function procrastinate_fetch_job_v2, not there" in examined["schema"].message
    assert "03.03.00_01_pre_priority_lock_fetch_job.sql" in examined["schema"].hint


def test_a_dropped_index_and_a_changed_function_are_warnings(server, database, address):
    with server.connect(database) as connection:
        connection.execute("DROP INDEX procrastinate_jobs_priority_idx_v1")
    assert Examined(address).faults() == {"schema": "warning"}
    with server.connect(database) as connection:
        connection.execute("CREATE INDEX procrastinate_jobs_priority_idx_v1 ON procrastinate_jobs (id)")
        connection.execute(
            "CREATE OR REPLACE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void"
            " LANGUAGE plpgsql AS 'BEGIN END'"
        )
    examined = Examined(address)
    assert examined.faults() == {"schema": "warning"}
    assert "the function procrastinate_update_heartbeat_v1 not as procrastinate" in examined["schema"].message


def test_a_newer_schema_asks_for_a_newer_library(server, database, address):
    with server.connect(database) as connection:
        connection.execute("ALTER FUNCTION procrastinate_fetch_job_v2 RENAME TO procrastinate_fetch_job_v9")
    schema = Examined(address)["schema"]
    assert schema.status == "fail"
    assert "function procrastinate_fetch_job_v9: upgrade procrastinate" in schema.hint


@pytest.fixture
def permitted(server, database, role, address):
    """libpq's keywords for the test's database, as a role with all the rights that it takes."""
    grant_all(server, database, role)
    return {**address, "user": role}


def grant_all(server: EmbeddedPostgres, database: str, role: str) -> None:
    with server.connect(database) as connection:
        connection.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
        )


def test_the_rights_that_are_missing_can_be_granted_as_they_are_told(server, database, role, address):
    as_role = {**address, "user": role}
    before = Examined(as_role)
    assert before.faults() == {"rights": "fail"}
    assert before["rights"].message == "storing a job is not permitted"
    with server.connect(database) as connection:
        for statement in before["rights"].value:
            connection.execute(statement)
    assert Examined(as_role).faults() == {}


def test_rights_to_store_jobs_alone(server, database, role, address):
    """What the doctor takes for enough is enough for procrastinate; one right less is not."""
    as_role = {**address, "user": role}
    with server.connect(database) as connection:
        connection.execute(
            f"GRANT SELECT, INSERT ON procrastinate_jobs TO {role};"
            f"GRANT INSERT ON procrastinate_events TO {role};"
            f"GRANT USAGE ON procrastinate_jobs_id_seq, procrastinate_events_id_seq TO {role}"
        )
    assert Examined(as_role, "sync-psycopg").faults() == {"rights": "warning"}
    assert Examined(as_role, "psycopg").faults() == {"rights": "fail"}
    jobs = app(connector("sync-psycopg", as_role, min_size=1, max_size=1))
    with jobs.open():
        jobs.tasks["work"].defer(argument=1)
    with server.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (1,)


@pytest.mark.parametrize(
    "revoked",
    [
        "EXECUTE ON FUNCTION procrastinate_defer_jobs_v1 FROM PUBLIC",
        "USAGE ON TYPE procrastinate_job_to_defer_v1 FROM PUBLIC",
        "USAGE ON SEQUENCE procrastinate_jobs_id_seq FROM {role}",
        "DELETE ON procrastinate_workers FROM {role}",
    ],
)
def test_a_single_missing_right_is_told(server, database, role, address, revoked):
    grant_all(server, database, role)
    with server.connect(database) as connection:
        connection.execute(f"REVOKE {revoked.format(role=role)}")
    examined = Examined({**address, "user": role})
    assert examined.faults() == {"rights": "fail"}
    [grant] = examined["rights"].value
    with server.connect(database) as connection:
        connection.execute(grant)
    assert Examined({**address, "user": role}).faults() == {}


@pytest.mark.parametrize(
    ("setting", "value", "kind", "status"),
    [
        ("statement_timeout", "500ms", "psycopg", "warning"),
        ("statement_timeout", "30s", "psycopg", "pass"),
        ("lock_timeout", "1s", "psycopg2", "warning"),
        ("idle_in_transaction_session_timeout", "1s", "psycopg2", "warning"),
        ("idle_in_transaction_session_timeout", "60s", "psycopg2", "pass"),
        ("transaction_timeout", "1s", "psycopg", "warning"),
        ("idle_session_timeout", "1h", "psycopg", "warning"),
        ("idle_session_timeout", "5min", "psycopg2", "warning"),
        ("idle_session_timeout", "1h", "psycopg2", "pass"),
    ],
)
def test_the_roles_timeouts_are_judged(permitted, setting, value, kind, status):
    with psycopg.connect(**{**permitted, "user": "postgres"}) as connection:
        connection.execute(f"ALTER ROLE {permitted['user']} SET {setting} = '{value}'")
    examined = Examined(permitted, kind)
    assert examined.faults() == ({} if status == "pass" else {"timeouts": status})
    assert setting in examined["timeouts"].message
    assert list(examined["timeouts"].value) == [setting]
    assert status == "pass" or "it is set for the role" in examined["timeouts"].hint


@pytest.mark.parametrize("where", ["{role}", "{role} IN DATABASE {database}"])
def test_the_hint_turns_a_timeout_off(server, database, permitted, where):
    role = where.format(role=permitted["user"], database=database)
    with server.connect(database) as connection:
        connection.execute(f"ALTER ROLE {role} SET statement_timeout = '1s'")
        told = Examined(permitted)["timeouts"].hint
        connection.execute(told.partition("; ")[2].removesuffix(" turns it off for the role"))
    assert Examined(permitted).faults() == {}


def test_a_timeout_of_the_connection_itself_is_told_of_it(address):
    examined = Examined({**address, "options": "-c statement_timeout=100"})
    assert "ends queries after 0.1 s" in examined["timeouts"].message
    assert "`options` of the connection" in examined["timeouts"].hint


@pytest.mark.parametrize(
    ("kind", "pool", "processes", "needed"),
    [
        ("psycopg", {"max_size": 10}, 4, 44),
        ("aiopg", {"min_size": 3}, 1, 4),
        ("psycopg2", {"max_size": 10}, 4, 40),
    ],
)
def test_the_budget_counts_processes_pools_and_listen(address, kind, pool, processes, needed):
    examined = Examined(address, kind, pool=pool, processes=processes)
    assert examined.faults() == {}
    assert examined["budget"].value["needed"] == needed
    assert examined["budget"].value["limits"]["max_connections"]["allowed"] == 297


def test_a_budget_that_can_never_be_met_and_one_that_cannot_be_now():
    settings = {"max_connections": "20", "reserved_connections": "2"}
    with EmbeddedPostgres(settings=settings) as server, ExitStack() as held:
        address = server.parameters(apply_schema(server, server.create_database("jobs")))
        never = Examined(address, processes=4)
        assert never.faults() == {"budget": "fail"}
        assert never["budget"].message == (
            "4 processes open up to 20 connections (max_size 4 + 1 to LISTEN), and max_connections allows 15"
        )
        for _ in range(10):
            held.enter_context(psycopg.connect(**address))
        now = Examined(address, processes=2)
        assert now.faults() == {"budget": "warning"}
        assert "are free now (max_connections)" in now["budget"].message


@pytest.mark.parametrize(
    ("stated", "name"),
    [({}, "procrastinate"), ({"pool": {"name": "shop"}}, "shop"), ({"pool": {"name": "x" * 70}}, "x" * 70)],
)
def test_the_applications_own_sessions_are_no_others(server, permitted, stated, name):
    """As on a live deployment: what its processes have open already is part of what they need."""
    role = permitted["user"]
    another_role, another_name = {"user": "postgres", "application_name": name}, {"application_name": "other"}
    with server.connect() as connection, ExitStack() as held:
        connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 14")
        for _ in range(6):
            held.enter_context(psycopg.connect(**permitted, application_name=name))
        for others in (another_role, another_name):
            held.enter_context(psycopg.connect(**{**permitted, **others}))
        running = Examined(permitted, processes=2, **stated)
        assert running.faults() == {}
        assert running["budget"].value["own"] == 6
        assert running["budget"].value["limits"][f"role {role}"] == {"allowed": 14, "taken": 1}
        assert running["budget"].message.endswith(
            f"; 13 of 14 are free now or the application's own (role {role}; 6 sessions are called {name})"
        )


def test_sessions_without_a_name_are_nobodys(address):
    nameless = {**address, "application_name": ""}
    with psycopg.connect(**nameless):
        assert Examined(nameless)["budget"].value["own"] == 0


def test_a_null_pool_without_a_bound_is_a_warning(address):
    examined = Examined(address, pool="null")
    assert examined.faults() == {"budget": "warning"}
    assert Examined(address, pool={"max_size": 8, "min_size": 0}).faults() == {}
