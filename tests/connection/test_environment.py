"""A connector connects to the resolved server, whatever the environment is by then."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier, Event, Thread
from time import monotonic

import procrastinate
import psycopg2
import pytest

from procrastinate_conn import ConnectorKind, ConnectorSettings, drivers, libpq, make_connector
from procrastinate_conn.libpq import environment as environment_of_libpq
from procrastinate_conn.libpq.environment import override_environment
from procrastinate_conn.registry import SERVER_KINDS
from tests.resolution.comparison import HOSTILE, connected
from tests.resolution.oracle import environment
from tests.servers import wait_until

SPECS = {
    "nothing set": {"defaults": "libpq"},
    "resilient": {},
    "a DSN": {"dsn": "postgresql://u:p@255.255.255.255:1/d?sslmode=verify-ca"},
    "several hosts": {"dsn": "host=/nowhere,255.255.255.255 port=1,2 target_session_attrs=standby"},
    "empty values": {"connection": {"sslsni": "", "hostaddr": "", "port": "", "application_name": ""}},
}


@pytest.mark.subprocess
@pytest.mark.parametrize("arguments", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("variable", HOSTILE)
def test_no_variable_changes_the_meaning_of_a_connection_string(variable, arguments):
    spec = ConnectorSettings(_env_file=None, **arguments).spec()
    before = connected(spec, {"HOME": "/nowhere"})
    assert before.info is not None
    for value in ("hostile", "1", ""):
        assert connected(spec, {"HOME": "/nowhere", variable: value}) == before


def test_unset_values_are_written_for_the_variables_that_are_set():
    spec = ConnectorSettings(_env_file=None, dsn="host=/nowhere", defaults="libpq").spec()
    every = spec.keyword_values()
    assert spec.keyword_values(environment={"PGSERVICE"}) == every
    assert spec.keyword_values(environment={"HOME"}) == spec.parameters
    for variable, keyword in libpq.variables().items():
        if not variable.startswith("PGSERVICE"):
            expected = {**spec.parameters, keyword: every[keyword]}
            assert spec.keyword_values(environment={variable}) == expected


@pytest.mark.parametrize("keyword", libpq.keywords())
def test_unset_value_means_the_same_to_libpq_as_no_value(keyword):
    if keyword in ("service", "servicefile"):
        return
    plain = libpq.probe({})
    unset_value = libpq.probe(
        {keyword: libpq.unset_value(keyword)} if libpq.keywords()[keyword].variable else {}
    )
    assert unset_value.rejection is None
    added = dict(unset_value.info.items() - plain.info.items())
    assert added in ({}, {keyword: libpq.UNSET_VALUES.get(keyword)})


def test_psycopg2_connects_to_the_resolved_server_in_another_environment(server, database):
    spec = ConnectorSettings(
        _env_file=None, connector="psycopg2", dsn=server.dsn(database), connection={"application_name": "a"}
    ).spec()
    conninfo = spec.conninfo(drivers.keywords(ConnectorKind.PSYCOPG2))

    def parameters():
        with libpq.pinned_environment(libpq.parse(conninfo), spec.session):
            connection = psycopg2.connect(conninfo)
        try:
            return connection.info.dsn_parameters
        finally:
            connection.close()

    with environment({"HOME": "/nowhere"}):
        before = parameters()
    with environment({"HOME": "/nowhere", **HOSTILE}):
        assert parameters() == before
    assert before["dbname"] == database


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


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_session_variables_that_are_set_later_change_nothing(kind, show):
    before = show(kind, *SESSION.values())
    with pytest.MonkeyPatch.context() as patch:  # over before the test's database is dropped

        def spoil():
            for variable in SESSION:
                patch.setenv(variable, "nonsense")

        assert show(kind, *SESSION.values(), spoil=spoil) == before
        assert {name: os.environ[name] for name in SESSION} == dict.fromkeys(SESSION, "nonsense")


@pytest.mark.parametrize("kind", ["sync-psycopg", "psycopg2"])
def test_session_variables_that_were_set_before_are_kept(kind, show, monkeypatch):
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    assert show(kind, "TimeZone", spoil=lambda: monkeypatch.delenv("PGTZ")) == {"TimeZone": "Asia/Tokyo"}


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_fallback_application_name_names_the_session_unless_another_is_set(kind, show, monkeypatch):
    assert show(kind, "application_name") == {"application_name": "procrastinate"}
    assert show(kind, "application_name", connection={"application_name": "a"}) == {"application_name": "a"}


@pytest.mark.parametrize(
    "content", ["[jobs]\nkeepalives_idle=7\n", "[jobs]\nhost=/x\n", "[other]\n", "[jobs]\nx\n"]
)
def test_service_that_is_named_later_is_unset_only_if_it_would_interfere(content, tmp_path, monkeypatch):
    spec = ConnectorSettings(_env_file=None, dsn="host=/nowhere", defaults="libpq").spec()
    (tmp_path / "services").write_text(content)
    monkeypatch.setenv("PGSERVICE", "jobs")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    with libpq.pinned_environment(spec.keyword_values(), spec.session):
        assert os.environ.get("PGSERVICE") == ("jobs" if "host" in content else None)
    assert os.environ["PGSERVICE"] == "jobs"


def test_resolved_service_stays_in_the_environment_for_others(tmp_path, monkeypatch):
    (tmp_path / "services").write_text("[jobs]\nhost=/nowhere\nkeepalives_idle=7\n")
    monkeypatch.setenv("PGSERVICE", "jobs")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    spec = ConnectorSettings(_env_file=None).spec()
    with libpq.pinned_environment(spec.keyword_values(), spec.session):
        assert os.environ["PGSERVICE"] == "jobs"


def test_environment_is_restored_when_the_last_overlapping_override_ends(monkeypatch):
    monkeypatch.setenv("PGTZ", "before")
    barrier = Barrier(8)

    def use(_number):
        with override_environment({"PGTZ": "a"}):
            barrier.wait(20)
            found = os.environ["PGTZ"]
            barrier.wait(20)
        return found

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(use, range(8))) == {"a"}
    assert os.environ["PGTZ"] == "before"


def test_thread_waits_for_an_override_with_other_values(monkeypatch):
    monkeypatch.setattr(environment_of_libpq, "MAX_WAIT", 30)

    def use_none():
        with override_environment({"PGTZ": None, "PGGEQO": "on"}):
            return os.environ.get("PGTZ")

    with ThreadPoolExecutor(1) as threads:
        with override_environment({"PGTZ": "UTC"}):
            other = threads.submit(use_none)
            assert wait([other], 0.2).not_done
            assert os.environ["PGTZ"] == "UTC"
        assert other.result(20) is None
    assert "PGGEQO" not in os.environ


def test_thread_that_has_waited_long_goes_on_and_the_other_values_are_restored(monkeypatch):
    monkeypatch.setattr(environment_of_libpq, "MAX_WAIT", 0.05)

    def use_another():
        with override_environment({"PGTZ": "Asia/Tokyo"}):
            return os.environ["PGTZ"]

    with ThreadPoolExecutor(1) as threads, override_environment({"PGTZ": "UTC"}):
        assert threads.submit(use_another).result(20) == "Asia/Tokyo"
        assert os.environ["PGTZ"] == "UTC"
    assert "PGTZ" not in os.environ


def test_event_loop_is_not_blocked_by_an_override(monkeypatch):
    monkeypatch.setattr(environment_of_libpq, "MAX_WAIT", 10)

    async def use(value, begun, ended):
        with override_environment({"PGTZ": value}):
            begun.set()
            await ended.wait()
            return os.environ["PGTZ"]

    async def overlap():
        events = [asyncio.Event() for _ in range(4)]
        first = asyncio.create_task(use("UTC", *events[:2]))
        await events[0].wait()
        second = asyncio.create_task(use("Asia/Tokyo", *events[2:]))
        await events[2].wait()
        events[3].set()
        assert await second == "Asia/Tokyo"
        events[1].set()
        assert await first == "UTC"

    begun = monotonic()
    asyncio.run(overlap())
    assert monotonic() - begun < 5
    assert "PGTZ" not in os.environ


@pytest.mark.subprocess
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_child_forked_during_an_override_has_the_original_environment(monkeypatch):
    monkeypatch.setenv("PGTZ", "before")
    busy, over = Event(), Event()

    def use():
        with override_environment({"PGTZ": "override_environment"}), environment_of_libpq._changed:
            busy.set()
            over.wait(20)

    thread = Thread(target=use)
    thread.start()
    busy.wait(20)
    child = os.fork()
    if child == 0:
        found = os.environ["PGTZ"]
        with override_environment({"PGTZ": None}):
            unset = "PGTZ" not in os.environ
        os._exit(0 if (found, unset, os.environ["PGTZ"]) == ("before", True, "before") else 1)
    try:
        wait_until(lambda: os.waitpid(child, os.WNOHANG) == (child, 0))
    finally:
        over.set()
        thread.join(20)
    assert os.environ["PGTZ"] == "before"


def test_environment_is_not_read_if_it_is_not_among_the_sources(monkeypatch):
    """As in `check --isolated`: variables that are in no source have no effect."""
    from procrastinate_conn.configuration import configure
    from procrastinate_conn.sources.arguments import read_call

    alone = configure([read_call({"dsn": "sslrootcert=system"})])
    for variable in HOSTILE:
        monkeypatch.setenv(variable, "hostile")
    assert configure([read_call({"dsn": "sslrootcert=system"})]).spec == alone.spec
    assert not alone.errors
