"""Sessions on which the server rejects queries are replaced, and nothing is deferred twice or not at all."""

from __future__ import annotations

import asyncio

import pytest
from procrastinate import sql
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime.retry import USELESS_SESSION
from procrastinate_conn.connectors.runtime.stats import pool_stats
from tests.faults.job_tracker import working
from tests.servers import ASYNC_KINDS, KINDS, app, connector, soon, wait_until

REJECT = """
    CREATE TABLE rejected (code text, before timestamptz);
    CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE rejection rejected;
    BEGIN
        SELECT rejected.* INTO rejection FROM rejected, pg_stat_activity
        WHERE pid = pg_backend_pid() AND backend_start < before;
        IF FOUND THEN
            RAISE EXCEPTION 'rejected' USING ERRCODE = rejection.code;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER reject BEFORE INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION reject();
"""
"""Rejects jobs in sessions that began before a moment."""


def set_read_only(observer, value):
    name = observer.one("SELECT current_database()")
    observer.connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")


def defer(jobs, kind, *arguments):
    """Defer jobs one after the other, on a connector that is opened and closed by it."""

    async def scenario():
        async with jobs.open_async():
            for call in arguments:
                await call(jobs.tasks["work"].defer_async)

    def synchronously():
        with jobs.open():
            for call in arguments:
                run_now(call(in_thread(jobs.tasks["work"].defer)))

    asyncio.run(scenario()) if kind in ASYNC_KINDS else synchronously()


def in_thread(function):
    async def call(**arguments):
        return function(**arguments)

    return call


def run_now(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value


@pytest.mark.parametrize("kind", KINDS)
def test_no_call_fails_after_a_standby_was_promoted(kind, address, observer):
    """The pool connected while the server was read-only, as one behind a DNS name does."""
    set_read_only(observer, "on")
    jobs = app(connector(kind, address, min_size=3, max_size=3))

    async def promote(_):
        set_read_only(observer, "off")

    defer(jobs, kind, promote, *[lambda defer_, n=n: defer_(argument=n) for n in range(4)])
    assert observer.jobs() == list(range(4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_stays_read_only_is_reported_with_few_new_connections(kind, address, observer):
    set_read_only(observer, "on")
    jobs = app(connector(kind, address, min_size=2, max_size=2))

    async def fail(defer_):
        for _ in range(10):
            with pytest.raises(ConnectorException, match="read-only"):
                await defer_(argument=1)
        assert jobs.connector.own_pool.get_stats()["connections_num"] <= 2 * 2

    defer(jobs, kind, fail)
    set_read_only(observer, "off")
    assert observer.jobs() == []


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_survives_the_promotion_of_its_server(kind, address, observer):
    """Its sessions are from before; those of a worker that fetches meanwhile would end it."""
    jobs = app(connector(kind, address, min_size=4))
    set_read_only(observer, "on")

    async def scenario():
        async with jobs.open_async():
            set_read_only(observer, "off")
            async with working(jobs, concurrency=3) as running:
                await jobs.tasks["work"].defer_async(argument="after")
                await soon(lambda: jobs.worked == ["after"])
                assert not running.done()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_call_is_sent_once_more_after_each_error_of_a_useless_session(kind, address, observer):
    observer.connection.execute(REJECT)
    jobs = app(connector(kind, address, min_size=2, max_size=2))

    def is_full():
        return pool_stats(jobs.connector).idle == 2

    def after(code):
        async def call(defer_):
            # A connection that is being made would be in the pool after those that are idle are replaced.
            if kind in ASYNC_KINDS:
                await soon(is_full)
            else:
                wait_until(is_full)
            observer.connection.execute("DELETE FROM rejected")
            observer.connection.execute("INSERT INTO rejected VALUES (%s, clock_timestamp())", [code])
            await defer_(argument=code)

        return call

    defer(jobs, kind, *map(after, USELESS_SESSION))
    assert observer.jobs() == list(USELESS_SESSION)


@pytest.mark.parametrize("kind", KINDS)
def test_prepared_query_is_sent_again_after_a_migration(kind, address, observer):
    sync = connector(kind, address, min_size=1, max_size=1).get_sync_connector()
    sync.open()
    names = ("id", "queue_name", "task_name", "status", "lock", "queueing_lock", "worker_id")
    arguments = dict.fromkeys(names)
    for _ in range(8):
        sync.execute_query_all(sql.queries["list_jobs"], **arguments)
    observer.connection.execute("ALTER TABLE procrastinate_jobs ALTER COLUMN attempts TYPE bigint")
    assert sync.execute_query_all(sql.queries["list_jobs"], **arguments) == []
    sync.close()
