"""Opening when no server is there: an error within the timeout that gives a reason for each host."""

from __future__ import annotations

import asyncio
import time

import pytest
from procrastinate.exceptions import ConnectorException

from tests.faults.unresponsive import closed_port, silent_port
from tests.installed import needs
from tests.servers import ASYNC_KINDS, KINDS, app, connector

MANY = {"user": "postgres", "dbname": "jobs", "connect_timeout": "2"}


def opening(ours):
    """Open a connector, and return what it says, or an empty text, and the seconds that it took."""
    started = time.monotonic()
    try:
        if hasattr(ours, "open_async") and ours.get_sync_connector() is not ours:
            asyncio.run(ours.open_async())
        else:
            ours.open()
    except ConnectorException as error:
        return str(error.__cause__), time.monotonic() - started
    return "", time.monotonic() - started


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_each_host_with_its_reason(kind):
    if kind in ("psycopg", "sync-psycopg"):
        needs("psycopg>=3.2.8")  # older ones tell of the last host alone
    with closed_port() as closed, silent_port() as silent:
        hosts = {**MANY, "host": "127.0.0.1,127.0.0.1", "port": f"{closed},{silent}"}
        message, seconds = opening(connector(kind, hosts, timeout=4, min_size=1))
    assert "pool initialization incomplete after 4.00 sec" in message
    assert str(closed) in message
    assert "refused" in message
    assert str(silent) in message
    assert "timeout expired" in message or "no answer within" in message
    assert seconds < 4 + 3


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_a_silent_server_before_connect_timeout(kind):
    with silent_port() as silent:
        hosts = {**MANY, "host": "127.0.0.1", "port": str(silent), "connect_timeout": "30"}
        message, seconds = opening(connector(kind, hosts, timeout=1, min_size=4))
    assert f"after 1.00 sec; there is no answer yet from 127.0.0.1:{silent}" in message
    assert seconds < 1 + 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_attempt_to_open_succeeds(kind, stoppable_server, stoppable_database):
    jobs = app(connector(kind, stoppable_server.parameters(stoppable_database), timeout=2, min_size=1))

    async def opened():
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async()

    def defer():
        if kind in ASYNC_KINDS:
            asyncio.run(opened())
        else:
            with jobs.open():
                jobs.tasks["work"].defer()

    stoppable_server.stop()
    for _ in range(2):
        with pytest.raises(ConnectorException):
            defer()
    stoppable_server.start()
    defer()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("null", [False, True], ids=["pool", "null"])
def test_opening_succeeds_while_the_server_starts(kind, null, stoppable_server, stoppable_database):
    """Also beyond reconnect_timeout, after which psycopg_pool would give up."""
    sizes = {"null": True} if null else {"min_size": 2}
    ours = connector(
        kind, stoppable_server.parameters(stoppable_database), timeout=30, reconnect_timeout=0.5, **sizes
    )

    async def scenario():
        await asyncio.to_thread(stoppable_server.stop)
        if kind in ASYNC_KINDS:
            task = asyncio.create_task(ours.open_async())
        else:
            task = asyncio.create_task(asyncio.to_thread(ours.open))
        await asyncio.sleep(2)
        assert not task.done()
        await asyncio.to_thread(stoppable_server.start)
        await task
        if kind in ASYNC_KINDS:
            await ours.close_async()
        else:
            ours.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_the_only_host_after_connect_timeout(kind):
    with silent_port() as silent:
        host = {**MANY, "host": "127.0.0.1", "port": str(silent)}
        message, _ = opening(connector(kind, host, timeout=3, min_size=1))
    assert "127.0.0.1" in message
    assert str(silent) in message
    assert "timeout expired" in message or "no answer within" in message


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_an_unresolved_host_beside_a_closed_port(kind):
    with closed_port() as closed:
        hosts = {**MANY, "host": "nowhere.invalid,127.0.0.1", "port": f"5432,{closed}"}
        message, _ = opening(connector(kind, hosts, timeout=2, min_size=1))
    assert "nowhere.invalid" in message
    assert str(closed) in message
    assert "refused" in message


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_each_unresolved_host_once(kind):
    hosts = {**MANY, "host": "one.invalid,two.invalid"}
    message, _ = opening(connector(kind, hosts, timeout=2, min_size=1))
    assert message.count("one.invalid") == 1
    assert message.count("two.invalid") == 1
