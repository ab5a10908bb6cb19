"""What was resolved is what is connected to, whatever the environment says by then."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import procrastinate
import psycopg2
import pytest

from procrastinate_conn import ConnectorKind, ConnectorSettings, drivers, libpq, make_connector
from procrastinate_conn.libpq.environment import imposed
from tests.resolution.comparison import HOSTILE, connected
from tests.resolution.oracle import environment

SPECS = {
    "nothing stated": {"defaults": "libpq"},
    "resilient": {},
    "a DSN": {"dsn": "postgresql://u:p@255.255.255.255:1/d?sslmode=verify-ca"},
    "several hosts": {"dsn": "host=/nowhere,255.255.255.255 port=1,2 target_session_attrs=standby"},
    "empty values": {"connection": {"sslsni": "", "hostaddr": "", "port": "", "application_name": ""}},
}


@pytest.mark.parametrize("arguments", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("variable", HOSTILE)
def test_no_variable_changes_what_a_connection_string_says(variable, arguments):
    spec = ConnectorSettings(_env_file=None, **arguments).spec()
    unspoilt = connected(spec, {"HOME": "/nowhere"})
    assert unspoilt.info is not None
    for value in ("hostile", "1", ""):
        assert connected(spec, {"HOME": "/nowhere", variable: value}) == unspoilt


@pytest.mark.parametrize("keyword", libpq.keywords())
def test_what_is_neutral_for_libpq_is_what_it_does_by_itself(keyword):
    if keyword in ("service", "servicefile"):
        return
    plain = libpq.ask({})
    neutral = libpq.ask({keyword: libpq.neutral(keyword)} if libpq.keywords()[keyword].variable else {})
    assert neutral.refusal is None
    added = dict(neutral.info.items() - plain.info.items())
    assert added in ({}, {keyword: libpq.NEUTRAL.get(keyword)})


def test_psycopg2_connects_to_what_was_resolved(server, database):
    spec = ConnectorSettings(
        _env_file=None, connector="psycopg2", dsn=server.dsn(database), connection={"application_name": "a"}
    ).spec()
    conninfo = spec.conninfo(drivers.keywords(ConnectorKind.PSYCOPG2))

    def told():
        with libpq.undisturbed(conninfo, spec.session):
            connection = psycopg2.connect(conninfo)
        try:
            return connection.info.dsn_parameters
        finally:
            connection.close()

    with environment({"HOME": "/nowhere"}):
        unspoilt = told()
    with environment({"HOME": "/nowhere", **HOSTILE}):
        assert told() == unspoilt
    assert unspoilt["dbname"] == database


@pytest.fixture
def show(server, database):
    """Ask a session of a connector for its settings."""

    def ask(kind, *names, spoil=None, **arguments):
        dsn = server.dsn(database)
        connector = make_connector(
            kind, env_file=None, dsn=dsn, pool={"min_size": 1, "timeout": 20}, **arguments
        )
        if spoil is not None:
            spoil()
        app = procrastinate.App(connector=connector)
        query = "SELECT " + ", ".join(f"current_setting('{name}') AS \"{name}\"" for name in names)
        with app.open():
            return dict(app.connector.get_sync_connector().execute_query_one(query))

    return ask


SESSION = {"PGTZ": "TimeZone", "PGDATESTYLE": "DateStyle", "PGGEQO": "geqo"}


@pytest.mark.parametrize("kind", list(ConnectorKind))
def test_settings_of_the_session_that_are_set_later_change_nothing(kind, show):
    unspoilt = show(kind, *SESSION.values())
    with pytest.MonkeyPatch.context() as patch:  # over before the test's database is dropped

        def spoil():
            for variable in SESSION:
                patch.setenv(variable, "nonsense")

        assert show(kind, *SESSION.values(), spoil=spoil) == unspoilt
        assert {name: os.environ[name] for name in SESSION} == dict.fromkeys(SESSION, "nonsense")


@pytest.mark.parametrize("kind", ["sync-psycopg", "psycopg2"])
def test_settings_of_the_session_that_were_set_before_stay(kind, show, monkeypatch):
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    assert show(kind, "TimeZone", spoil=lambda: monkeypatch.delenv("PGTZ")) == {"TimeZone": "Asia/Tokyo"}


@pytest.mark.parametrize("kind", list(ConnectorKind))
def test_the_fallback_name_is_the_sessions_name_unless_another_is_stated(kind, show, monkeypatch):
    assert show(kind, "application_name") == {"application_name": "procrastinate"}
    assert show(kind, "application_name", connection={"application_name": "a"}) == {"application_name": "a"}


@pytest.mark.parametrize(
    "content", ["[jobs]\nkeepalives_idle=7\n", "[jobs]\nhost=/x\n", "[other]\n", "[jobs]\nx\n"]
)
def test_a_service_named_later_is_put_aside_only_where_it_would_interfere(content, tmp_path, monkeypatch):
    spec = ConnectorSettings(_env_file=None, dsn="host=/nowhere", defaults="libpq").spec()
    (tmp_path / "services").write_text(content)
    monkeypatch.setenv("PGSERVICE", "jobs")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    with libpq.undisturbed(spec.conninfo(), spec.session):
        assert os.environ.get("PGSERVICE") == ("jobs" if "host" in content else None)
    assert os.environ["PGSERVICE"] == "jobs"


def test_the_service_that_was_resolved_is_left_to_the_other_users_of_the_environment(tmp_path, monkeypatch):
    (tmp_path / "services").write_text("[jobs]\nhost=/nowhere\nkeepalives_idle=7\n")
    monkeypatch.setenv("PGSERVICE", "jobs")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    spec = ConnectorSettings(_env_file=None).spec()
    with libpq.undisturbed(spec.conninfo(), spec.session):
        assert os.environ["PGSERVICE"] == "jobs"


def test_the_environment_returns_when_the_last_overlapping_use_ends(monkeypatch):
    monkeypatch.setenv("PGTZ", "before")
    barrier = Barrier(8)

    def use(value):
        with imposed({"PGTZ": value}):
            barrier.wait(20)
            barrier.wait(20)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, [None, "a"] * 4))
    assert os.environ["PGTZ"] == "before"


def test_the_environment_is_not_read_where_it_was_not_asked_for(monkeypatch):
    """As `check --isolated` does it: a place that is left out says nothing, whatever the process has."""
    from procrastinate_conn.configuration import configure
    from procrastinate_conn.sources.call import read_call

    alone = configure([read_call({"dsn": "sslrootcert=system"})])
    for variable in HOSTILE:
        monkeypatch.setenv(variable, "hostile")
    assert configure([read_call({"dsn": "sslrootcert=system"})]).spec == alone.spec
    assert not alone.errors
