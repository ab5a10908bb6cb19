"""procrastinate's schema in the database, the privileges on it, timeouts, and connection limits."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.doctor.run_doctor import DoctorRun
from tests.servers import KINDS, app, connector, wait_until

pytestmark = pytest.mark.subprocess

MIGRATIONS = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
RECENT = [file.name for file in MIGRATIONS if file.name >= "03."]
SESSION_CHECKS = [
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
def test_healthy_server_passes_every_check_for_each_kind(kind, address):
    doctor = DoctorRun(address, kind)
    assert doctor.problems() == {}
    [host] = doctor.hosts
    assert [check.name for check in host.checks] == SESSION_CHECKS
    assert doctor["connector"].message.startswith(
        f"{kind} connects to 127.0.0.1:{address['port']}, read-write"
    )
    assert doctor["identity"].value["current_user"] == "postgres"
    assert abs(doctor["clock"].value["seconds_ahead"]) < 1


def test_healthy_server_passes_by_host_name_and_by_socket():
    with EmbeddedPostgres(version=16) as server:
        apply_schema(server, server.create_database("jobs"))
        by_name = DoctorRun({**server.parameters("jobs"), "host": "localhost"})
        by_socket = DoctorRun(server.parameters("jobs", unix_socket=True))
    assert by_name.problems() == by_socket.problems() == {}
    assert "127.0.0.1" in by_name["resolve"].value["addresses"]
    assert by_socket["connect"].message.startswith("the Unix socket accepts connections")
    assert by_socket["identity"].value["server_version"].startswith("16.")


def test_doctor_needs_only_a_read_only_session_and_leaves_none_open(permitted, server, database):
    with server.connect(database) as connection:
        connection.execute(f"ALTER ROLE {permitted['user']} SET default_transaction_read_only = on")
        doctor = DoctorRun(permitted)
        ours = "SELECT FROM pg_stat_activity WHERE usename = %s"
        wait_until(lambda: connection.execute(ours, [permitted["user"]]).rowcount == 0)
    assert doctor.problems() == {"role": "fail", "connector": "fail"}
    assert doctor["role"].message.startswith("primary, but default_transaction_read_only is on")
    assert f'ALTER ROLE "{permitted["user"]}" SET default_transaction_read_only = off' in doctor["role"].hint
    assert "target_session_attrs" not in doctor["role"].hint.lower() + doctor["connector"].hint.lower()
    assert "NOTIFY is delivered" in doctor["listen"].message


def test_missing_schema_fails_with_the_command_that_applies_it(server, empty):
    doctor = DoctorRun(server.parameters(empty))
    assert doctor.problems() == {"schema": "fail"}
    assert doctor["schema"].message == "procrastinate's tables do not exist"
    assert doctor["schema"].hint == "python -m procrastinate --app=module.app schema --apply"


def test_schema_outside_the_search_path_fails_until_options_name_it(server, empty):
    with server.connect(empty) as connection:
        connection.execute('CREATE SCHEMA "My Jobs"; SET search_path = "My Jobs"')
        connection.execute(SchemaManager.get_schema())
    doctor = DoctorRun(server.parameters(empty))
    assert doctor.problems() == {"schema": "fail"}
    assert "in the schema My Jobs, which is not on the search_path" in doctor["schema"].message

    on_path = DoctorRun({**server.parameters(empty), "options": r"-c search_path=\"My\ Jobs\""})
    assert on_path.problems() == {}
    assert on_path["schema"].message.startswith('in "My Jobs", as of procrastinate')


def test_schema_without_usage_privilege_fails_with_the_grant(server, empty, role):
    with server.connect(empty) as connection:
        connection.execute("CREATE SCHEMA jobs; SET search_path = jobs")
        connection.execute(SchemaManager.get_schema())
    doctor = DoctorRun({**server.parameters(empty), "user": role, "options": "-c search_path=jobs"})
    assert doctor["schema"].hint == f"GRANT USAGE ON SCHEMA jobs TO {role}"


def test_outdated_schema_names_the_next_migration(server, empty):
    """Migrations are applied one by one; until the last one, the next one is named."""
    with server.connect(empty) as connection:
        for number, file in enumerate(MIGRATIONS):
            connection.execute(file.read_text())
            if file.name not in RECENT:
                continue
            schema = DoctorRun(server.parameters(empty))["schema"]
            remaining = [later.name for later in MIGRATIONS[number + 1 :]]
            if not remaining:
                assert schema.status == "pass"
                return
            assert schema.status in ("fail", "warning"), file.name
            named = schema.hint.split()[4]
            assert named in remaining, file.name
            skipped = remaining[: remaining.index(named)]
            # A migration that only drops objects cannot be detected.
            assert not any("CREATE" in (file.parent / name).read_text() for name in skipped), file.name


def test_table_without_its_columns_fails_and_says_nothing_of_rights(server, database, address):
    with server.connect(database) as connection:
        connection.execute("ALTER TABLE procrastinate_jobs DROP COLUMN lock CASCADE")
    doctor = DoctorRun(address)
    assert doctor.problems() == {"schema": "fail"}
    assert "needs the column procrastinate_jobs.lock" in doctor["schema"].message
    assert not [result for result in doctor.results() if result.name == "rights"]


def test_table_stub_is_not_a_schema_in_which_jobs_can_be_stored(server, empty):
    with server.connect(empty) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (id int)")
    doctor = DoctorRun(server.parameters(empty))
    assert doctor.problems() == {"schema": "fail"}
    assert not [result for result in doctor.results() if result.name == "rights"]


def test_missing_function_fails_with_its_migration(server, database, address):
    with server.connect(database) as connection:
        connection.execute("DROP FUNCTION procrastinate_fetch_job_v2")
    doctor = DoctorRun(address)
    assert doctor.problems() == {"schema": "fail"}
    assert "needs the function procrastinate_fetch_job_v2, which does not exist" in doctor["schema"].message
    assert "03.03.00_01_pre_priority_lock_fetch_job.sql" in doctor["schema"].hint


def test_missing_index_and_changed_function_are_warnings(server, database, address):
    with server.connect(database) as connection:
        connection.execute("DROP INDEX procrastinate_jobs_priority_idx_v1")
    assert DoctorRun(address).problems() == {"schema": "warning"}
    with server.connect(database) as connection:
        connection.execute("CREATE INDEX procrastinate_jobs_priority_idx_v1 ON procrastinate_jobs (id)")
        connection.execute(
            "CREATE OR REPLACE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void"
            " LANGUAGE plpgsql AS 'BEGIN END'"
        )
    doctor = DoctorRun(address)
    assert doctor.problems() == {"schema": "warning"}
    assert (
        "the function procrastinate_update_heartbeat_v1 differs from procrastinate"
        in doctor["schema"].message
    )


def test_newer_schema_asks_to_upgrade_procrastinate(server, database, address):
    with server.connect(database) as connection:
        connection.execute("ALTER FUNCTION procrastinate_fetch_job_v2 RENAME TO procrastinate_fetch_job_v9")
    schema = DoctorRun(address)["schema"]
    assert schema.status == "fail"
    assert "function procrastinate_fetch_job_v9: upgrade procrastinate" in schema.hint


@pytest.fixture
def permitted(server, database, role, address):
    """libpq's keywords for the test's database, as a role with all the privileges that it needs."""
    grant_all(server, database, role)
    return {**address, "user": role}


def grant_all(server: EmbeddedPostgres, database: str, role: str) -> None:
    with server.connect(database) as connection:
        connection.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
        )


def test_missing_privileges_are_reported_as_grants_that_suffice(server, database, role, address):
    as_role = {**address, "user": role}
    before = DoctorRun(as_role)
    assert before.problems() == {"rights": "fail"}
    assert before["rights"].message == "storing a job is not permitted"
    with server.connect(database) as connection:
        for statement in before["rights"].value:
            connection.execute(statement)
    assert DoctorRun(as_role).problems() == {}


def test_privileges_to_defer_alone_are_a_warning_only_for_kinds_without_worker(
    server, database, role, address
):
    """The privileges that the doctor accepts suffice to defer a job."""
    as_role = {**address, "user": role}
    with server.connect(database) as connection:
        connection.execute(
            f"GRANT SELECT, INSERT ON procrastinate_jobs TO {role};"
            f"GRANT INSERT ON procrastinate_events TO {role};"
            f"GRANT USAGE ON procrastinate_jobs_id_seq, procrastinate_events_id_seq TO {role}"
        )
    assert DoctorRun(as_role, "sync-psycopg").problems() == {"rights": "warning"}
    assert DoctorRun(as_role, "psycopg").problems() == {"rights": "fail"}
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
def test_single_missing_privilege_is_reported_as_its_grant(server, database, role, address, revoked):
    grant_all(server, database, role)
    with server.connect(database) as connection:
        connection.execute(f"REVOKE {revoked.format(role=role)}")
    doctor = DoctorRun({**address, "user": role})
    assert doctor.problems() == {"rights": "fail"}
    [grant] = doctor["rights"].value
    with server.connect(database) as connection:
        connection.execute(grant)
    assert DoctorRun({**address, "user": role}).problems() == {}


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
def test_short_timeout_of_the_role_is_a_warning(permitted, setting, value, kind, status):
    with psycopg.connect(**{**permitted, "user": "postgres"}) as connection:
        connection.execute(f"ALTER ROLE {permitted['user']} SET {setting} = '{value}'")
    doctor = DoctorRun(permitted, kind)
    assert doctor.problems() == ({} if status == "pass" else {"timeouts": status})
    assert setting in doctor["timeouts"].message
    assert list(doctor["timeouts"].value) == [setting]
    assert status == "pass" or "it is set for the role" in doctor["timeouts"].hint


@pytest.mark.parametrize("scope", ["{role}", "{role} IN DATABASE {database}"])
def test_the_hint_turns_a_timeout_off(server, database, permitted, scope):
    role = scope.format(role=permitted["user"], database=database)
    with server.connect(database) as connection:
        connection.execute(f"ALTER ROLE {role} SET statement_timeout = '1s'")
        hint = DoctorRun(permitted)["timeouts"].hint
        connection.execute(hint.partition("; ")[2].removesuffix(" sets it for the role"))
    assert DoctorRun(permitted).problems() == {}


def test_short_timeout_in_options_is_attributed_to_the_connection(address):
    doctor = DoctorRun({**address, "options": "-c statement_timeout=100"})
    assert "ends queries after 0.1 s" in doctor["timeouts"].message
    assert "`options` of the connection" in doctor["timeouts"].hint


@pytest.mark.parametrize(
    ("kind", "pool", "processes", "needed"),
    [
        ("psycopg", {"max_size": 10}, 4, 44),
        ("aiopg", {"min_size": 3}, 1, 4),
        ("psycopg2", {"max_size": 10}, 4, 40),
    ],
)
def test_budget_counts_processes_pools_and_listen_connections(address, kind, pool, processes, needed):
    doctor = DoctorRun(address, kind, pool=pool, processes=processes)
    assert doctor.problems() == {}
    assert doctor["budget"].value["needed"] == needed
    assert doctor["budget"].value["limits"]["max_connections"]["allowed"] == 297


def test_budget_beyond_the_limit_fails_and_beyond_free_connections_warns():
    settings = {"max_connections": "20", "reserved_connections": "2"}
    with EmbeddedPostgres(settings=settings) as server, ExitStack() as opened:
        address = server.parameters(apply_schema(server, server.create_database("jobs")))
        never = DoctorRun(address, processes=4)
        assert never.problems() == {"budget": "fail"}
        assert never["budget"].message == (
            "4 processes open up to 20 connections (max_size 4 + 1 to LISTEN), and max_connections allows 15"
        )
        for _ in range(10):
            opened.enter_context(psycopg.connect(**address))
        now = DoctorRun(address, processes=2)
        assert now.problems() == {"budget": "warning"}
        assert "are free now (max_connections)" in now["budget"].message


@pytest.mark.parametrize(
    ("settings", "name"),
    [({}, "procrastinate"), ({"pool": {"name": "shop"}}, "shop"), ({"pool": {"name": "x" * 70}}, "x" * 70)],
)
def test_budget_counts_the_applications_own_sessions_as_available(server, permitted, settings, name):
    """As on a live deployment: the connections of its processes are part of those that they need."""
    role = permitted["user"]
    another_role, another_name = {"user": "postgres", "application_name": name}, {"application_name": "other"}
    with server.connect() as connection, ExitStack() as opened:
        connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 14")
        for _ in range(6):
            opened.enter_context(psycopg.connect(**permitted, application_name=name))
        for others in (another_role, another_name):
            opened.enter_context(psycopg.connect(**{**permitted, **others}))
        running = DoctorRun(permitted, processes=2, **settings)
        assert running.problems() == {}
        assert running["budget"].value["own"] == 6
        assert running["budget"].value["limits"][f"role {role}"] == {"allowed": 14, "taken": 1}
        assert running["budget"].message.endswith(
            f"; 13 of 14 are free now or the application's own (role {role}; 6 sessions named {name})"
        )


def test_budget_counts_nameless_sessions_as_not_its_own(address):
    nameless = {**address, "application_name": ""}
    with psycopg.connect(**nameless):
        assert DoctorRun(nameless)["budget"].value["own"] == 0


def test_null_pool_without_max_size_is_a_warning(address):
    doctor = DoctorRun(address, pool="null")
    assert doctor.problems() == {"budget": "warning"}
    assert DoctorRun(address, pool={"max_size": 8, "min_size": 0}).problems() == {}
