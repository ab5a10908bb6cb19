"""Jobs on connections of asyncpg's that the application has made, with codecs of its own."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from procrastinate.exceptions import ConnectorException

from tests.installed import needs
from tests.servers import app, connector, defer_until_worked, soon

BINARY = {"encoder": lambda _: b"\x01{}", "decoder": lambda data: json.loads(data[1:]), "format": "binary"}
TEXT = {"encoder": json.dumps, "decoder": json.loads, "format": "text"}


def arguments(address):
    """Return an address in asyncpg's terms."""
    return {("database" if keyword == "dbname" else keyword): value for keyword, value in address.items()}


@pytest.fixture
def jobs(address):
    return app(connector("asyncpg", address, min_size=1))


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("codec", [None, TEXT, BINARY], ids=["none", "text", "binary"])
def test_job_is_stored_in_the_applications_transaction(commits, codec, jobs, address, observer):
    needs("procrastinate>=3.8")  # older ones ignore connection=
    argument = {"text": 'é"\\{},()', "none": None}

    async def scenario():
        connection = await asyncpg.connect(**arguments(address))
        if codec:
            await connection.set_type_codec("jsonb", schema="pg_catalog", **codec)
        async with jobs.open_async():
            transaction = connection.transaction()
            await transaction.start()
            task = jobs.configure_task("work", connection=connection)
            await task.defer_async(argument=argument)
            await (transaction.commit() if commits else transaction.rollback())
        await connection.close()

    asyncio.run(scenario())
    assert observer.jobs() == ([argument] if commits else [])


def test_worker_is_woken_on_a_pool_of_the_applications(jobs, address, observer):
    async def scenario():
        async with asyncpg.create_pool(**arguments(address), min_size=1) as pool, jobs.open_async(pool):
            worker = asyncio.create_task(
                jobs.run_worker_async(fetch_job_polling_interval=60, install_signal_handlers=False)
            )
            await soon(observer.listens)
            for number in range(2):
                await defer_until_worked(jobs, number)
            worker.cancel()
            await asyncio.wait([worker])

    asyncio.run(scenario())
    assert {*jobs.worked} == {0, 1}


def test_connection_of_another_driver_is_rejected_with_the_kind_that_takes_it(jobs, observer):
    needs("procrastinate>=3.8")  # older ones ignore connection=

    async def scenario():
        async with jobs.open_async():
            await jobs.configure_task("work", connection=observer.connection).defer_async()

    with pytest.raises(ConnectorException, match="the kind for that is sync-psycopg"):
        asyncio.run(scenario())


def test_no_lock_is_left_after_an_argument_that_asyncpg_rejects(jobs, observer):
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'procrastinate_jobs'::regclass"

    async def scenario():
        async with jobs.open_async():
            with pytest.raises(ConnectorException, match="expected str, got bytes"):
                await jobs.job_manager.list_jobs_async(queue=b"default")
            assert observer.one(locks) == 0

    asyncio.run(scenario())
