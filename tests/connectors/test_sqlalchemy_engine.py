"""The engine of the SQLAlchemy connector loses no connection, whatever its user does with one."""

from __future__ import annotations

import psycopg
import psycopg2
import psycopg_pool
import pytest
import sqlalchemy
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.servers import SYNC_KINDS, app, connector, wait_until

KINDS = [kind for kind in SYNC_KINDS if "sqlalchemy" in REGISTRY[kind].drivers]


@pytest.mark.parametrize("kind", KINDS)
def test_connection_whose_closing_fails_loses_no_slot(kind, address, observer):
    ours = connector(kind, address, min_size=1, max_size=1, timeout=5)
    ours.open()
    for _ in range(2):
        raw = ours.engine.raw_connection()
        raw.cursor().execute("SELECT 1")
        detached = raw.driver_connection
        raw.detach()
        assert observer.terminate("idle in transaction") == 1
        with pytest.raises((psycopg2.Error, psycopg.Error)):
            detached.close()
    with ours.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    ours.close()


@pytest.mark.parametrize("kind", KINDS)
def test_connection_lost_while_an_engine_initializes_loses_no_slot(kind, address, observer, monkeypatch):
    """SQLAlchemy before 2.1 forgets it; the farewell comes a moment too late to be seen."""
    ours = connector(kind, address, min_size=1, max_size=1, timeout=20)
    ours.open()
    observer.terminate()
    should_ping = ours.own_pool.connection_factory.should_ping
    asked = []

    def too_early(connection):
        asked.append(connection)
        return len(asked) > 1 and should_ping(connection)

    monkeypatch.setattr(ours.own_pool.connection_factory, "should_ping", too_early)
    ours.execute_query("SELECT 1")
    wait_until(lambda: pool_stats(ours).in_use == 0)
    ours.close()


def test_notices_are_logged_once_however_often_a_connection_is_used(address, caplog):
    ours = connector(ConnectorKind.SQLALCHEMY_PSYCOPG, address, min_size=1, max_size=1)
    ours.open()
    caplog.set_level("INFO", logger="sqlalchemy.dialects.postgresql")
    for _ in range(3):
        ours.execute_query("SELECT 1")
    ours.execute_query("DO $$ BEGIN RAISE WARNING 'once'; END $$")
    assert sum("once" in message for message in caplog.messages) == 1
    ours.close()


@pytest.mark.parametrize(
    ("kind", "url", "takes"),
    [
        ("sqlalchemy-psycopg", "postgresql+psycopg2://", "sqlalchemy-psycopg2"),
        ("sqlalchemy-psycopg2", "postgresql+psycopg://", "sqlalchemy-psycopg"),
        ("sqlalchemy-psycopg2", "sqlite://", None),
    ],
)
def test_engine_over_another_driver_is_rejected_with_the_kind_that_takes_it(kind, url, takes):
    engine = sqlalchemy.create_engine(url)
    with pytest.raises(ConnectorException) as caught:
        connector(ConnectorKind(kind), {}).open(engine)
    driver = kind.removeprefix("sqlalchemy-")
    hint = f"; the kind for that is {takes}" if takes else ""
    assert str(caught.value) == (
        f"the {kind} connector takes sqlalchemy.Engine over {driver},"
        f" and was given sqlalchemy.Engine over {engine.dialect.driver}{hint}"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_engine_kinds_reject_what_is_no_engine(kind):
    with pytest.raises(
        ConnectorException, match=r"psycopg_pool\.ConnectionPool; the kind for that is sync-psycopg"
    ):
        connector(kind, {}).open(psycopg_pool.ConnectionPool(open=False))


@pytest.mark.parametrize("kind", KINDS)
def test_queries_are_cursor_events_of_the_engine_and_reuse_a_connection(kind, address):
    ours = connector(kind, address, min_size=1, max_size=1)
    ours.open()
    connected, queries = [], []
    sqlalchemy.event.listen(ours.engine, "connect", lambda *_: connected.append(1))

    @sqlalchemy.event.listens_for(ours.engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, *_):
        queries.append((statement, parameters))

    for number in range(3):
        assert ours.execute_query_one("SELECT %(number)s AS number", number=number) == {"number": number}
        with pytest.raises(ConnectorException):
            ours.execute_query("SELECT 1 / 0")
    seen = [parameters["number"] for query, parameters in queries if query == "SELECT %(number)s AS number"]
    assert seen == [0, 1, 2]
    assert len(connected) == 1
    assert pool_stats(ours).connections_lost == 0
    ours.close()


@pytest.mark.parametrize("kind", KINDS)
def test_url_of_an_engine_has_the_address_and_no_password(kind, address):
    ours = connector(kind, {**address, "password": "s3cret"}, min_size=1)
    ours.open()
    url = ours.engine.url
    assert (url.host, str(url.port), url.database) == (address["host"], address["port"], address["dbname"])
    assert url.password is None
    ours.close()


@pytest.mark.parametrize("kind", KINDS)
def test_percent_of_a_schema_is_escaped_once_and_others_as_by_hand(kind, server):
    jobs = app(connector(kind, server.parameters(server.create_database()), min_size=1))
    with jobs.open():
        jobs.schema_manager.apply_schema()
        jobs.tasks["work"].defer(argument=1)
        query = "SELECT 'a%b' AS one, 'a%%b' AS two WHERE 'x' LIKE %(pattern)s"
        assert jobs.connector.execute_query_one(query, pattern="%") == {"one": "a%b", "two": "a%b"}


def test_json_functions_serve_the_connections_of_the_caller_as_well(address):
    options = {"json_dumps": lambda _: '"dumped"', "json_loads": lambda text: f"loaded {text}"}
    ours = connector(ConnectorKind.SQLALCHEMY_PSYCOPG, address, min_size=1, max_size=2, **options)
    query = "SELECT %(value)s::jsonb AS value"
    with app(ours).open(), ours.engine.connect() as connection:
        assert ours.execute_query_one(query, value={}) == {"value": 'loaded "dumped"'}
        rows = ours.execute_query_all_with_connection(connection, query, value={})
        assert rows == [{"value": 'loaded "dumped"'}]


@pytest.mark.parametrize("kind", KINDS)
def test_json_functions_serve_an_engine_of_the_caller_and_leave_its_own_queries_alone(kind, address):
    url = sqlalchemy.URL.create("postgresql+" + kind.removeprefix("sqlalchemy-"), query=address)
    options = {"json_dumps": lambda _: '"dumped"', "json_loads": lambda text: f"loaded {text}"}
    engine = sqlalchemy.create_engine(url, pool_size=1)
    with app(connector(kind, {}, **options)).open(engine) as jobs, engine.connect() as connection:
        query = "SELECT %(value)s::jsonb AS value, %(value)s::json AS text"
        row = {"value": 'loaded "dumped"', "text": 'loaded "dumped"'}
        assert jobs.connector.execute_query_one(query, value={}) == row
        assert connection.exec_driver_sql("""SELECT '"x"'::jsonb""").scalar() == "x"
    engine.dispose()


def test_error_of_a_query_has_psycopgs_error_as_its_cause(address):
    ours = connector(ConnectorKind.SQLALCHEMY_PSYCOPG, address, min_size=1)
    with app(ours).open(), pytest.raises(ConnectorException) as caught:
        ours.execute_query("SELECT 1 / 0")
    assert isinstance(caught.value.__cause__, psycopg.errors.DivisionByZero)
    assert caught.value.__cause__.__cause__ is None
