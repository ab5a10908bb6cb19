"""The server is up and accepts no session: callers wait, with few attempts, and get the reason."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.servers import ASYNC_KINDS, KINDS, Observer, app, connector, wait_until

CALLERS = 6
SIZES = {"min_size": 2, "max_size": 4}
SECONDS = 2.5
"""How long nobody gets in."""


@contextmanager
def full(server, database):
    """Take every connection that the server has."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(server.connect(database))
            except psycopg.OperationalError:
                break
        yield


@contextmanager
def switching_off(server, database):
    """Stop, which waits for one session to end, and start again."""
    session = server.connect(database)
    stopping = threading.Thread(target=server.stop, args=("smart",))
    stopping.start()
    wait_until(lambda: REASONS[switching_off] in refusal(server))
    yield
    session.close()
    stopping.join()
    server.start()


def refusal(server):
    """Return what a server says to one who wants to connect; an empty text if it lets him."""
    try:
        server.connect().close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


@contextmanager
def starting_up(server, database):
    """Recover from an archive that takes its time, and start again without it."""
    server.stop()
    (server.data / "recovery.signal").touch()
    settings = server.data / "postgresql.auto.conf"
    settings.write_text("restore_command = 'sleep 30; false'\n")
    server.run_command("pg_ctl", "start", "-W", "-D", server.data, "-l", server.log)
    wait_until(lambda: REASONS[starting_up] in refusal(server))
    yield
    server.stop("immediate")
    (server.data / "recovery.signal").unlink()
    settings.write_text("")
    server.start()


@contextmanager
def slow(server, database):
    """Accept connections, since the kernel does, and answer only afterwards."""
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(postmaster, signal.SIGCONT)


REASONS = {
    full: "too many clients already",
    switching_off: "the database system is shutting down",
    starting_up: "the database system is starting up",
    slow: "there is no answer yet from 127.0.0.1:",
}


@pytest.fixture(params=REASONS, ids=lambda fault: fault.__name__)
def fault(request, stoppable_server, stoppable_database):
    """A server that lets nobody in while the context is entered."""
    return lambda: request.param(stoppable_server, stoppable_database), REASONS[request.param]


@asynccontextmanager
async def off_the_loop(context):
    """Enter and leave a context in a thread, so that the event loop goes on."""
    await asyncio.to_thread(context.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def calls(jobs, number):
    """Defer so many jobs at the same time; return the errors."""
    defer = jobs.tasks["work"].defer_async if is_async(jobs) else in_a_thread(jobs.tasks["work"].defer)
    done = await asyncio.gather(*(defer(argument=call) for call in range(number)), return_exceptions=True)
    return [error for error in done if error is not None and not isinstance(error, int)]


def is_async(jobs):
    return jobs.connector.get_sync_connector() is jobs.connector and hasattr(jobs.connector, "in_flight_jobs")


def in_a_thread(function):
    async def call(**arguments):
        return await asyncio.to_thread(function, **arguments)

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_callers_wait_with_few_attempts_and_get_the_reason(kind, fault, stoppable_server, stoppable_database):
    no_sessions, reason = fault
    address = {**stoppable_server.parameters(stoppable_database), "connect_timeout": "10"}
    waiting_app = app(connector(kind, address, timeout=60, **SIZES))
    impatient_app = app(connector(kind, address, timeout=1, **SIZES))

    async def scenario():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4 * CALLERS))
        for jobs in (waiting_app, impatient_app):
            await (
                jobs.connector.open_async() if kind in ASYNC_KINDS else asyncio.to_thread(jobs.connector.open)
            )
        with Observer(stoppable_server, stoppable_database).connection as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        before = pool_stats(waiting_app.connector)
        async with off_the_loop(no_sessions()):
            waiting = asyncio.create_task(calls(waiting_app, CALLERS))
            failed = await calls(impatient_app, CALLERS)
            await asyncio.sleep(SECONDS - 1)
            attempts = pool_stats(waiting_app.connector).connections_made - before.connections_made
        assert await waiting == []
        for jobs in (waiting_app, impatient_app):
            await (
                jobs.connector.close_async()
                if kind in ASYNC_KINDS
                else asyncio.to_thread(jobs.connector.close)
            )
        return failed, attempts

    failed, attempts = asyncio.run(scenario())
    assert [type(error) for error in failed] == [ConnectorException] * CALLERS
    assert all(reason in str(error.__cause__) for error in failed)
    assert attempts <= SIZES["max_size"] * (1 + SECONDS)
    assert sorted(Observer(stoppable_server, stoppable_database).jobs()) == list(range(CALLERS))


@pytest.mark.parametrize("kind", KINDS)
def test_opening_names_a_wrong_password(kind, guarded):
    ours = connector(kind, {**guarded.parameters("jobs"), "password": "wr0ng"}, timeout=1, min_size=1)
    with pytest.raises(ConnectorException) as caught:
        asyncio.run(ours.open_async()) if kind in ASYNC_KINDS else ours.open()
    assert "password authentication failed for user" in str(caught.value.__cause__)
    assert "wr0ng" not in str(caught.value.__cause__)


@pytest.fixture(scope="module")
def guarded():
    """A server that asks for a password."""
    with EmbeddedPostgres(auth="scram-sha-256") as server:
        apply_schema(server, server.create_database("jobs"))
        yield server
