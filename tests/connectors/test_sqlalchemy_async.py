"""The kind sqlalchemy-async on engines and in transactions of the application's, over psycopg and asyncpg."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from procrastinate_conn.registry import ConnectorKind
from tests.installed import needs
from tests.servers import app, connector, defer_until_worked, soon

DRIVERS = ("psycopg", "asyncpg")


def run_on_engine(driver, server, database, scenario, **options):
    """Run a scenario with an app that is open on an engine over a driver, and with the engine."""

    async def run():
        url = f"postgresql+{driver}://{server.user}@{server.host}:{server.port}/{database}"
        engine = create_async_engine(url, pool_size=1, max_overflow=2)
        jobs = app(connector(ConnectorKind.SQLALCHEMY_ASYNC, {}, **options))
        async with jobs.open_async(engine):
            await scenario(jobs, engine)
        await engine.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("driver", DRIVERS)
def test_job_and_row_of_a_session_are_stored_together_or_not_at_all(driver, server, database, observer):
    needs("procrastinate>=3.8")  # older ones ignore connection=

    async def scenario(jobs, engine):
        for argument in ("committed", "undone"):
            async with AsyncSession(engine) as session:
                work = jobs.tasks["work"].configure(connection=await session.connection())
                await work.defer_async(argument=argument)
                assert "undone" not in observer.jobs()
                if argument == "committed":
                    await session.commit()
        async with AsyncSession(engine) as session, session.begin():

            def defer(session):
                jobs.tasks["work"].configure(connection=session.connection()).defer(argument="in run_sync")

            await session.run_sync(defer)
        assert observer.jobs() == ["committed", "in run_sync"]

    run_on_engine(driver, server, database, scenario)


@pytest.mark.parametrize("driver", DRIVERS)
def test_worker_on_an_engine_is_woken_and_works_jobs(driver, server, database, observer):
    async def scenario(jobs, engine):
        worker = asyncio.create_task(
            jobs.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=60)
        )
        await soon(observer.listens)
        one = "1" if driver == "psycopg" else 1
        await defer_until_worked(jobs, {"nested": [1, None]}, {"nested": [one, None]})
        await jobs.tasks["work"].batch_defer_async({"argument": "1"}, {"argument": "2"})
        await defer_until_worked(jobs, "3")
        assert [argument for argument in jobs.worked if argument in ("1", "2")] == ["1", "2"]
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    options = {"json_loads": partial(json.loads, parse_int=str)}
    run_on_engine(driver, server, database, scenario, **(options if driver == "psycopg" else {}))


def test_json_loads_is_rejected_beside_an_engine_over_asyncpg_which_parses_json_itself():
    engine = create_async_engine("postgresql+asyncpg://")
    jobs = connector(ConnectorKind.SQLALCHEMY_ASYNC, {}, json_loads=json.loads)
    with pytest.raises(ConnectorException, match=r"json_loads would have no effect.*json_deserializer"):
        asyncio.run(jobs.open_async(engine))


@pytest.mark.parametrize("driver", DRIVERS)
def test_queueing_lock_schema_and_errors_on_an_engine(driver, server):
    async def scenario(jobs, engine):
        await jobs.schema_manager.apply_schema_async()
        locked = jobs.tasks["work"].configure(queueing_lock="once")
        await locked.defer_async()
        with pytest.raises(AlreadyEnqueued):
            await locked.defer_async()
        with pytest.raises(ConnectorException):
            await jobs.connector.execute_query_async("SELECT 1 / 0")

    run_on_engine(driver, server, server.create_database(), scenario)
