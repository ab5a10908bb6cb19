"""LISTEN continues through any number of lost connections."""

from __future__ import annotations

import asyncio
import logging

import pytest
from procrastinate import connector as procrastinate_connector

from procrastinate_conn.connectors.runtime import listener
from tests.servers import ASYNC_KINDS, Observer, app, connector, soon, wait_until


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_worker_is_woken_by_notify_after_each_loss_of_its_connections(kind, address, observer):
    jobs = app(connector(kind, {**address, "application_name": "ours"}, min_size=1))

    async def scenario():
        async with jobs.open_async():
            worker = asyncio.create_task(
                jobs.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=600)
            )
            for round_ in range(5):
                await soon(observer.listens)
                await jobs.tasks["work"].defer_async(argument=round_)
                await soon(lambda number=round_: len(jobs.worked) == number + 1)
                observer.terminate()
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    asyncio.run(scenario())
    assert jobs.worked == list(range(5))
    wait_until(lambda: observer.backends() == 0)


def test_a_connector_on_the_pool_of_another_listens_with_its_connections(address, observer):
    """procrastinate then connects as the pool does, by its connection_class."""
    ours, other = (
        connector("psycopg", address, min_size=1),
        connector("psycopg", {"host": "127.0.0.1", "port": "1"}),
    )
    received = []

    async def note(*, channel, payload):
        received.append(payload)

    async def scenario():
        await ours.open_async()
        await other.open_async(ours.pool)
        listening = asyncio.create_task(other.listen_notify(note, channels=["one"]))
        listening_session = (
            "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^LISTEN.*one' AND state = 'idle'"
        )
        await soon(lambda: observer.one(listening_session))
        observer.connection.execute("NOTIFY one, 'hello'")
        await soon(lambda: received == ["hello"])
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await other.close_async()
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_job_deferred_while_listen_is_lost_is_worked_after_it(kind, address, observer):
    jobs = app(connector(kind, {**address, "application_name": "ours"}, min_size=1))

    async def scenario():
        async with jobs.open_async():
            worker = asyncio.create_task(
                jobs.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=600)
            )
            await soon(observer.listens)
            observer.terminate()
            await jobs.tasks["work"].defer_async(argument="in the gap")
            await soon(lambda: jobs.worked)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_listening_continues_after_an_outage_with_warnings(kind, own_server, caplog):
    ours = connector(kind, own_server.parameters("jobs"), min_size=1)
    received = []

    async def note(*, channel, payload):
        received.append((channel, payload))

    async def scenario():
        await ours.open_async()
        listening = asyncio.create_task(ours.listen_notify(note, channels=["one", "two"]))
        observer = Observer(own_server, "jobs")
        await soon(observer.listens)
        own_server.stop("immediate")
        await soon(lambda: sum(r.action == "listen_notify_failed" for r in failures(caplog)) >= 2)
        own_server.start()
        observer = Observer(own_server, "jobs")
        to_both = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^LISTEN.*two' AND state = 'idle'"
        await soon(lambda: observer.one(to_both), 60)
        observer.connection.execute("NOTIFY two, 'hello'")
        await soon(lambda: received)
        assert not listening.done()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await ours.close_async()

    asyncio.run(scenario())
    assert received == [("two", "hello")]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_listening_starts_once_the_server_is_up(kind, own_server, caplog):
    """The pool is open already; what fails is the connection for LISTEN, and that is no reason to end."""
    ours = connector(kind, own_server.parameters("jobs"), min_size=1)

    async def ignore(**_):
        pass

    async def scenario():
        await ours.open_async()
        own_server.stop()
        listening = asyncio.create_task(ours.listen_notify(ignore, channels=["one"]))
        await soon(lambda: failures(caplog))
        assert not listening.done()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_the_connection_for_listen_is_pinged_and_loses_no_notification(kind, address, observer, monkeypatch):
    monkeypatch.setattr(procrastinate_connector, "LISTEN_TIMEOUT", 0.3)
    ours = connector(kind, address, min_size=1)
    received = []

    async def note(*, channel, payload):
        received.append(payload)

    async def scenario():
        await ours.open_async()
        listening = asyncio.create_task(ours.listen_notify(note, channels=["one"]))
        await soon(lambda: observer.one("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT 1'"))
        for number in range(20):
            observer.connection.execute(f"NOTIFY one, '{number}'")
            await asyncio.sleep(0.03)
        await soon(lambda: len(received) == 20)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await ours.close_async()

    asyncio.run(scenario())
    assert received == [str(number) for number in range(20)]


SCRIPTS = ["plain", "café", "очередь", "キュー", "😀", 'quo"te', "back\\slash"]


@pytest.mark.parametrize("encoding", ["utf8", "latin1", "koi8r", "sjis"])
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_queue_names_in_any_script_are_listened_to_in_any_encoding(kind, encoding, address, observer):
    """A name that the client's encoding lacks as well: another client may notify of it."""
    listen_to_scripts(connector(kind, {**address, "client_encoding": encoding}, min_size=1), observer)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_queue_names_in_any_script_are_listened_to_on_a_sql_ascii_database(kind, server, sql_ascii_database):
    address = {**server.parameters(sql_ascii_database), "client_encoding": "utf8"}
    observer = Observer(server, sql_ascii_database)
    with observer.connection:
        observer.connection.execute("SET client_encoding TO utf8")
        listen_to_scripts(connector(kind, address, min_size=1), observer)


@pytest.fixture(scope="module")
def sql_ascii_database(server):
    with server.connect() as connection:
        connection.execute(
            "CREATE DATABASE sql_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    return "sql_ascii"


def listen_to_scripts(ours, observer):
    """Listen to names in every script, and be notified of each."""
    received = []

    async def note(*, channel, payload):
        received.append(payload)

    async def scenario():
        await ours.open_async()
        listening = asyncio.create_task(ours.listen_notify(note, channels=SCRIPTS))
        last = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%slash%%' AND state = 'idle'"
        await soon(lambda: observer.one(last))
        for name in SCRIPTS:
            observer.one("SELECT pg_notify(%s, 'hello')", name)
        await soon(lambda: len(received) == len(SCRIPTS), 5)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await ours.close_async()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_listen_that_never_succeeds_is_reported_at_growing_intervals(kind, address, caplog, monkeypatch):
    ours = connector(kind, address, min_size=1)
    pauses = []
    sleep = asyncio.sleep

    async def note_pause(seconds, *arguments):
        pauses.append(seconds)
        await sleep(0)

    async def scenario():
        await ours.open_async()
        monkeypatch.setattr(listener.asyncio, "sleep", note_pause)
        listening = asyncio.create_task(ours.listen_notify(None, channels=["x" * 70 + "\0"]))
        while len(pauses) < 9:
            await sleep(0.01)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        monkeypatch.undo()
        await ours.close_async()

    asyncio.run(scenario())
    assert 3 <= len(failures(caplog)) <= 4


def failures(caplog):
    """Return the log records that say that LISTEN failed, each at level WARNING."""
    records = [record for record in caplog.records if getattr(record, "action", "") == "listen_notify_failed"]
    assert all(record.levelno == logging.WARNING for record in records)
    return records
