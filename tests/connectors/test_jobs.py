"""The main job: tasks deferred and worked, on every kind of connector."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from uuid import UUID

import procrastinate
import pytest
from asgiref.sync import sync_to_async
from procrastinate import sql
from procrastinate.connector import BaseAsyncConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.manager import QUEUEING_LOCK_CONSTRAINT
from psycopg.types.json import set_json_dumps

from procrastinate_conn.registry import REGISTRY
from tests.servers import ASYNC_KINDS, KINDS, SYNC_KINDS, app, connector, defer_until_worked, soon, wait_until

ODD = {
    "percent": "100 % of %s and %(x)s",
    "quotes": 'it\'s "quoted" \\ and $$dollars$$',
    "unicode": "naïve ☃ 数",
    "nested": [{"a": [1, 2.5, None, True]}, [], {}],
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_an_instance_of_procrastinates_class(kind, address):
    module, name = REGISTRY[kind].class_module, REGISTRY[kind].class_name
    theirs = getattr(__import__(module, fromlist=[name]), name)
    ours = connector(kind, address)
    assert isinstance(ours, theirs)
    assert type(ours).__name__ == REGISTRY[kind].implementation_class


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_are_deferred_synchronously(kind, address, observer):
    jobs = app(connector(kind, address))
    with jobs.open():
        for number in range(3):
            jobs.tasks["work"].defer(argument=number)
        jobs.tasks["work"].batch_defer({"argument": 3}, {"argument": ODD})
        assert jobs.check_connection()
    assert observer.jobs() == [0, 1, 2, 3, ODD]


@pytest.mark.parametrize("kind", KINDS)
def test_queueing_lock_is_found_in_the_report_of_a_server_in_another_language(kind, address):
    violate = f"""
        DO $$ BEGIN
            RAISE unique_violation USING
                CONSTRAINT = '{QUEUEING_LOCK_CONSTRAINT}',
                DETAIL = 'Schlüssel »(queueing_lock)=(once)« existiert bereits.';
        END $$
    """
    ours = connector(kind, address, min_size=1)

    async def scenario():
        async with app(ours).open_async():
            await ours.execute_query_async(violate)

    def scenario_of_synchronous_kind():
        with app(ours).open():
            ours.execute_query(violate)

    with pytest.raises(UniqueViolation) as caught:
        asyncio.run(scenario()) if kind in ASYNC_KINDS else scenario_of_synchronous_kind()
    assert caught.value.queueing_lock == "once"


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_jobs_are_deferred_and_worked_asynchronously(kind, address, observer):
    jobs = app(connector(kind, address))

    async def scenario():
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async(argument=0)
            await jobs.tasks["work"].batch_defer_async({"argument": 1}, {"argument": ODD})
            assert await jobs.tasks["work"].batch_defer_async() == []
            assert await jobs.check_connection_async()
            await jobs.run_worker_async(wait=False, install_signal_handlers=False)

    asyncio.run(scenario())
    assert observer.jobs() == jobs.worked == [0, 1, ODD]
    assert observer.one("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") == 3


class Named(str, Enum):  # noqa: UP042 - the text of a StrEnum is its value, and that of this is not
    """Names as an application may have them."""

    QUEUE = "urgent"


STORED = [
    {"queue": Named.QUEUE, "lock": Named.QUEUE, "priority": IntEnum("Priority", "LOW").LOW},
    {"queue": "", "lock": 'a "b" \\ {c}, (d)\n\'e\' \\"', "queueing_lock": "NULL"},
    {
        "lock": "naïve ☃",
        "schedule_at": datetime(2030, 1, 31, 12, 30, 15, 250, timezone(timedelta(hours=5.5))),
    },
    {"priority": -7, "schedule_at": datetime(2030, 1, 31, tzinfo=UTC), "queueing_lock": "{}"},
]


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_are_stored_as_by_procrastinates_own_connector(kind, address, observer):
    def stored(connector):
        jobs = app(connector)
        with jobs.open():
            for options in STORED:
                jobs.tasks["work"].configure(**options).defer(argument=ODD)
        columns = "queue_name, priority, lock, queueing_lock, args, scheduled_at"
        deleted = observer.connection.execute(f"DELETE FROM procrastinate_jobs RETURNING {columns}")
        return deleted.fetchall()

    by_hand = stored(procrastinate.SyncPsycopgConnector(kwargs=address))
    assert stored(connector(kind, address)) == by_hand
    assert stored(connector(kind, address, json_dumps=lambda value: json.dumps(value).encode())) == by_hand


def defer_one(jobs, argument=None, **options):
    """Defer a job, in an event loop if the connector is asynchronous."""
    work = jobs.tasks["work"].configure(**options)

    async def scenario():
        async with jobs.open_async():
            await work.defer_async(argument=argument)

    if isinstance(jobs.connector, BaseAsyncConnector):
        asyncio.run(scenario())
    else:
        with jobs.open():
            work.defer(argument=argument)


class Label(str):
    """Text that is printed otherwise."""

    __slots__ = ()

    def __str__(self):
        return "printed"


@pytest.mark.parametrize(
    "lock", [UUID(int=5), Enum("Colour", "RED").RED, Label("label"), True, Decimal("1.50")]
)
def test_a_lock_of_another_type_is_the_same_text_from_asyncpg_as_from_psycopg(lock, address, observer):
    for kind in ("sync-psycopg", "asyncpg"):
        defer_one(app(connector(kind, address)), lock=lock)
    assert observer.one("SELECT count(DISTINCT lock) FROM procrastinate_jobs") == 1


def test_a_lock_of_an_unknown_type_is_rejected_on_asyncpg(address):
    with pytest.raises(ConnectorException, match="cannot adapt type 'object'"):
        defer_one(app(connector("asyncpg", address)), lock=object())


def decimals_as_text(value):
    return json.dumps(value, default=str)


def configure(connection):
    set_json_dumps(decimals_as_text, connection)


async def configure_async(connection):
    configure(connection)


@pytest.mark.parametrize("kind", ["psycopg", "sync-psycopg", "sqlalchemy-psycopg", "sqlalchemy-async"])
@pytest.mark.parametrize("scope", ["connection", "process"])
def test_json_is_written_as_the_application_has_set_it_in_psycopg(kind, scope, address, observer):
    if scope == "process":
        set_json_dumps(decimals_as_text)
        options = {}
    else:
        options = {"configure": configure_async if kind in ASYNC_KINDS else configure}
    try:
        defer_one(app(connector(kind, address, **options)), Decimal("1.50"))
    finally:
        set_json_dumps(json.dumps)
    assert observer.jobs() == ["1.50"]


@pytest.mark.parametrize("kind", ["psycopg", "sync-psycopg"])
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_json_has_the_encoding_in_which_psycopg_reads_it(kind, encoding, address, observer):
    def stored(connector):
        defer_one(app(connector), "naïve ☃")
        return observer.one("DELETE FROM procrastinate_jobs RETURNING args::text")

    dumps = partial(json.dumps, ensure_ascii=False)
    address = {**address, "client_encoding": encoding}
    by_hand = stored(procrastinate.SyncPsycopgConnector(kwargs=address, json_dumps=dumps))
    assert stored(connector(kind, address, json_dumps=dumps)) == by_hand


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_synchronous_kinds_raise_on_asynchronous_use(kind, address):
    jobs = app(connector(kind, address))
    with pytest.raises(procrastinate.exceptions.SyncConnectorConfigurationError):
        asyncio.run(jobs.connector.open_async())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
@pytest.mark.parametrize("max_size", [1, 4])
def test_a_worker_is_woken_by_notify(kind, max_size, address, observer):
    jobs = app(connector(kind, address, min_size=1, max_size=max_size))

    async def scenario():
        async with jobs.open_async():
            worker = asyncio.create_task(
                jobs.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=600)
            )
            await soon(observer.listens)
            await defer_until_worked(jobs, "awake")
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    asyncio.run(scenario())
    wait_until(lambda: observer.backends() == 0)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_synchronous_use_before_and_while_open_asynchronously(kind, address, observer):
    jobs = app(connector(kind, address, min_size=1))
    work = jobs.tasks["work"]

    async def scenario():
        async with jobs.open_async():
            await sync_to_async(work.defer)(argument="while open")

    jobs.open()
    work.defer(argument="before")
    asyncio.run(scenario())
    assert observer.jobs() == ["before", "while open"]
    wait_until(lambda: observer.backends() == 0)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_many_threads_use_an_open_asynchronous_connector(kind, address, observer):
    jobs = app(connector(kind, address, min_size=2))

    async def scenario():
        async with jobs.open_async():
            threads = (asyncio.to_thread(jobs.tasks["work"].defer, argument=number) for number in range(50))
            await asyncio.gather(*threads)

    asyncio.run(scenario())
    assert sorted(observer.jobs()) == list(range(50))


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_synchronous_call_that_would_block_the_event_loop_raises(kind, address):
    jobs = app(connector(kind, address, min_size=1, timeout=2))

    async def scenario():
        async with jobs.open_async():
            with pytest.raises(RuntimeError, match="just await the async function"):
                jobs.tasks["work"].defer()
            with (
                ThreadPoolExecutor(1) as thread,
                pytest.raises(ConnectorException, match="does a synchronous call"),
            ):
                thread.submit(jobs.tasks["work"].defer).result()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_with_a_queueing_lock_is_deferred_once(kind, address):
    jobs = app(connector(kind, address))
    work = jobs.tasks["work"].configure(queueing_lock="once")
    with jobs.open():
        work.defer()
        with pytest.raises(procrastinate.exceptions.AlreadyEnqueued):
            work.defer()


@pytest.mark.parametrize("kind", ["psycopg", "sync-psycopg"])
def test_a_message_that_is_not_ascii_is_read_in_a_sql_ascii_session(kind, address):
    jobs = app(connector(kind, {**address, "client_encoding": "SQL_ASCII"}))
    defer_one(jobs, queueing_lock="naïve")
    with pytest.raises(procrastinate.exceptions.AlreadyEnqueued):
        defer_one(jobs, queueing_lock="naïve")


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_job_may_be_fetched_as_all_rows(kind, address):
    jobs = app(connector(kind, address))
    defer_one(jobs)

    async def scenario():
        async with jobs.open_async():
            fetch = sql.queries["fetch_job"]
            rows = await jobs.connector.execute_query_all_async(fetch, queues=None, worker_id=None)
            assert [row["task_name"] for row in rows] == ["work"]
            await jobs.connector.execute_query_async(fetch, queues=None, worker_id=None)

    asyncio.run(scenario())
