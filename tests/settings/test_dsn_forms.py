"""One DSN serves every connector: every form that libpq and its users write."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import procrastinate
import pytest
from psycopg import sql

from procrastinate_conn import ConnectorKind, make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import SERVER_KINDS

FORMS = {
    "URI": "postgresql://{user}@127.0.0.1:{port}/{dbname}",
    "short scheme": "postgres://{user}@127.0.0.1:{port}/{dbname}",
    "SQLAlchemy's scheme": "postgresql+psycopg://{user}@127.0.0.1:{port}/{dbname}",
    "keyword/value": "host=127.0.0.1 port={port} user={user} dbname='{dbname}'",
    "several hosts in a URI": "postgresql://{user}@127.0.0.1:1,127.0.0.1:{port}/{dbname}",
    "several hosts in keywords": "host=127.0.0.1,127.0.0.1 port=1,{port} user={user} dbname={dbname}",
    "hostaddr": "host=nowhere.invalid hostaddr=127.0.0.1 port={port} user={user} dbname={dbname}",
    "Unix socket directory": "host={directory} port={port} user={user} dbname={dbname}",
    "Unix socket directory in a URI": "postgresql://{user}@{quoted_directory}:{port}/{dbname}",
    "Unix socket directory as a parameter": "postgresql:///{dbname}?host={directory}&port={port}&user={user}",
    "parameters in a URI": "postgresql://{user}@127.0.0.1:{port}/{dbname}?application_name=a%20b&options=-c%20work_mem%3D5MB",
}


def deferred(connector):
    """Defer a job through a connector and return its identifier."""
    app = procrastinate.App(connector=connector)
    with app.open():
        return app.configure_task("task").defer(number=1)


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_the_same_dsn_defers_a_job_on_every_kind(form, kind, server, database):
    sources = {**server.parameters(database), "directory": server.directory}
    dsn = FORMS[form].format(**sources, quoted_directory=quote(str(server.directory), safe=""))
    assert deferred(make_connector(kind, env_file=None, dsn=dsn, pool={"min_size": 1})) == 1


@pytest.mark.parametrize("kind", [ConnectorKind.PSYCOPG, ConnectorKind.AIOPG])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_dsn_defers_a_job_asynchronously(form, kind, server, database):
    sources = {**server.parameters(database), "directory": server.directory}
    dsn = FORMS[form].format(**sources, quoted_directory=quote(str(server.directory), safe=""))

    async def defer():
        app = procrastinate.App(connector=make_connector(kind, env_file=None, dsn=dsn, pool={"min_size": 1}))
        async with app.open_async():
            return await app.configure_task("task").defer_async(number=1)

    assert asyncio.run(defer()) == 1


PASSWORDS = ["plain", "p@ss:w/rd?#%", "sp ace", "quo'te\\back", "ünï©ode", "%41", '"', "a=b&c"]


@pytest.fixture(scope="module")
def scram_server():
    """A server that asks for passwords, with a role for each of PASSWORDS and the schema in jobs."""
    with EmbeddedPostgres(auth="scram-sha-256") as server:
        server.create_database("jobs")
        with server.connect("jobs") as connection:
            connection.execute(procrastinate.schema.SchemaManager.get_schema())
            for number, password in enumerate(PASSWORDS):
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(
                        sql.Identifier(f"role{number}"), password
                    )
                )
        yield server


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("number", range(len(PASSWORDS)), ids=PASSWORDS)
def test_passwords_of_every_shape_log_in_through_a_uri(kind, number, scram_server):
    password = quote(PASSWORDS[number], safe="")
    dsn = f"postgresql://role{number}:{password}@127.0.0.1:{scram_server.port}/jobs"
    assert deferred(make_connector(kind, env_file=None, dsn=dsn, pool={"min_size": 1})) >= 1
