"""A connector connects as it was resolved, even if the environment changes afterwards."""

from __future__ import annotations

import asyncio

import procrastinate
import psycopg
import pytest

from procrastinate_conn import ConnectorKind, libpq, make_connector
from procrastinate_conn.registry import SERVER_KINDS

ASYNCHRONOUS = [ConnectorKind.PSYCOPG, ConnectorKind.AIOPG]

HOSTILE = {
    "PGHOST": "/nowhere",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGDATABASE": "elsewhere",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGAPPNAME": "hostile",
    "PGSSLMODE": "verify-full",
    "PGTARGETSESSIONATTRS": "standby",
    "PGREQUIRESSL": "1",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGCLIENTENCODING": "LATIN1",
    "PGMINPROTOCOLVERSION": "latest",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGPASSFILE": "/nowhere",
    "PGSERVICE": "undefined",
    "PGSERVICEFILE": "/nowhere",
    "PGSYSCONFDIR": "/nowhere",
}


def pg_variables():
    """Every variable of libpq's, with a value that would spoil a connection if it counted."""
    every = {keyword.variable for keyword in libpq.keywords().values() if keyword.variable}
    return {name: HOSTILE.get(name, "hostile") for name in every | HOSTILE.keys()}


@pytest.fixture
def connector_for(server, database):
    """Build a connector to the test's database."""

    def build(kind):
        dsn = server.dsn(database) + " application_name=hermetic"
        return make_connector(kind, env_file=None, dsn=dsn, pool={"min_size": 1, "timeout": 5})

    return build


@pytest.fixture
def turn_hostile(database):
    """Spoil the environment until the test is over, and before its database is dropped."""
    with pytest.MonkeyPatch.context() as patch:

        def turn(*, service=True):
            for name, value in pg_variables().items():
                if service or not name.startswith("PGSERVICE"):
                    patch.setenv(name, value)

        yield turn


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_no_variable_that_is_set_later_changes_where_a_kind_connects(
    kind, connector_for, turn_hostile, database
):
    connector = connector_for(kind)
    turn_hostile()
    app = procrastinate.App(connector=connector)
    with app.open():
        assert app.configure_task("task").defer() == 1
        query = """SELECT current_database() AS dbname, current_setting('application_name') AS name,
                   current_setting('default_transaction_read_only') AS readonly,
                   current_setting('client_encoding') AS encoding"""
        row = dict(app.connector.get_sync_connector().execute_query_one(query))
    assert row == {"dbname": database, "name": "hermetic", "readonly": "off", "encoding": "UTF8"}


@pytest.mark.parametrize("kind", ASYNCHRONOUS)
def test_no_variable_that_is_set_later_changes_where_a_worker_connects(
    kind, connector_for, turn_hostile, server, database
):
    connector = connector_for(kind)
    turn_hostile(service=False)
    app = procrastinate.App(connector=connector)

    async def work():
        heard = asyncio.Queue()

        @app.task
        async def task(number):
            await heard.put(number)

        async with app.open_async():
            worker = asyncio.create_task(
                app.run_worker_async(fetch_job_polling_interval=600, install_signal_handlers=False)
            )
            await listens(server, database)  # and has found nothing to do: only NOTIFY can wake it now
            await task.defer_async(number=7)
            try:
                return await asyncio.wait_for(heard.get(), 20)
            finally:
                worker.cancel()
                await asyncio.gather(worker, return_exceptions=True)

    assert asyncio.run(work()) == 7


async def listens(server, database):
    """Wait until a session of the test's database has said LISTEN."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE %s AND state = 'idle'"
    parameters = {**server.parameters(), "hostaddr": server.host, "options": "", "sslmode": "disable"}
    with pytest.MonkeyPatch.context() as patch:
        for name in pg_variables():
            patch.delenv(name, raising=False)
        observer = psycopg.connect(**parameters, autocommit=True)
    with observer:
        async with asyncio.timeout(20):
            while not observer.execute(query, [database, "LISTEN%"]).fetchone()[0]:  # noqa: ASYNC110 - polls a server
                await asyncio.sleep(0.02)
