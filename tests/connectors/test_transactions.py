"""`configure(connection=...)`: job and row are stored together, or an error names a kind that can."""

from __future__ import annotations

import asyncio

import aiopg
import psycopg
import psycopg2
import pytest
import sqlalchemy
from procrastinate.exceptions import ConnectorException
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from procrastinate_conn.connectors.compatibility import rejection
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.installed import needs
from tests.servers import KINDS, app, connector

NEAREST = {
    aiopg.Connection: "psycopg takes psycopg.AsyncConnection",
    psycopg2.extensions.connection: "sqlalchemy-psycopg2 takes sqlalchemy.Connection over psycopg2",
}


def defer(jobs, connection):
    """Defer a job in the transaction of a connection, in the kind's own way."""
    task = jobs.configure_task("work", connection=connection)
    if not REGISTRY[jobs.connector.config.kind].asynchronous:
        return task.defer()

    async def deferred():
        await task.defer_async()

    return asyncio.run(deferred())


def connections(address):
    """Yield connections of every driver, with the kind that takes each."""
    conninfo = psycopg.conninfo.make_conninfo(**address)
    url = sqlalchemy.URL.create(
        "postgresql+psycopg2", address["user"], None, address["host"], int(address["port"]), address["dbname"]
    )
    with psycopg.connect(conninfo) as connection:
        yield connection, "sync-psycopg"
    connection = psycopg2.connect(conninfo)
    yield connection, None
    connection.close()
    for driver in ("psycopg2", "psycopg"):
        engine = sqlalchemy.create_engine(url.set(drivername=f"postgresql+{driver}"))
        with engine.connect() as connection:
            yield connection, f"sqlalchemy-{driver}"
        engine.dispose()


def test_session_has_the_hint_what_to_give():
    engine = create_async_engine("postgresql+asyncpg://app@localhost/jobs")
    session = rejection(ConnectorKind.SQLALCHEMY_ASYNC, "sqlalchemy.AsyncConnection", AsyncSession(engine))
    assert session.endswith("; no kind takes that, and sqlalchemy-async takes await session.connection()")


@pytest.mark.parametrize("kind", KINDS)
def test_connection_of_another_driver_is_rejected_with_a_kind_that_takes_one(kind, address, observer):
    needs("procrastinate>=3.8")  # older ones ignore connection=
    jobs = app(connector(kind, address, min_size=0))
    for connection, takes in connections(address):
        if takes == kind:
            defer(jobs, connection)
            assert observer.jobs() == []
            connection.rollback()
            continue
        with pytest.raises(ConnectorException) as caught:
            defer(jobs, connection)
        hint = (
            f"the kind for that is {takes}"
            if takes
            else f"no kind takes that, and {NEAREST[type(connection)]}"
        )
        assert str(caught.value).endswith(f"; {hint}")
        assert str(caught.value).startswith(f"the {kind} connector takes ")
