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
    begun = time.monotonic()
    try:
        if hasattr(ours, "open_async") and ours.get_sync_connector() is not ours:
            asyncio.run(ours.open_async())
        else:
            ours.open()
    except ConnectorException as error:
        return str(error.__cause__), time.monotonic() - begun
    return "", time.monotonic() - begun


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_each_host_with_its_reason(kind):
    if kind in ("psycopg", "sync-psycopg"):
        needs("psycopg>=3.2.8")  # older ones tell of the last host alone
    with closed_port() as refuses, silent_port() as silent:
        hosts = {**MANY, "host": "127.0.0.1,127.0.0.1", "port": f"{refuses},{silent}"}
        said, seconds = opening(connector(kind, hosts, timeout=4, min_size=1))
    assert "pool initialization incomplete after 4.00 sec" in said
    assert str(refuses) in said
    assert "refused" in said
    assert str(silent) in said
    assert "timeout expired" in said or "no answer within" in said
    assert seconds < 4 + 3


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_a_silent_server_before_connect_timeout(kind):
    with silent_port() as silent:
        hosts = {**MANY, "host": "127.0.0.1", "port": str(silent), "connect_timeout": "30"}
        said, seconds = opening(connector(kind, hosts, timeout=1, min_size=4))
    assert f"after 1.00 sec; there is no answer yet from 127.0.0.1:{silent}" in said
    assert seconds < 1 + 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_attempt_to_open_succeeds(kind, victim, victim_database):
    jobs = app(connector(kind, victim.parameters(victim_database), timeout=2, min_size=1))

    async def opened():
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async()

    def defer():
        if kind in ASYNC_KINDS:
            asyncio.run(opened())
        else:
            with jobs.open():
                jobs.tasks["work"].defer()

    victim.stop()
    for _ in range(2):
        with pytest.raises(ConnectorException):
            defer()
    victim.start()
    defer()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("null", [False, True], ids=["pool", "null"])
def test_opening_succeeds_while_the_server_starts(kind, null, victim, victim_database):
    """Also beyond reconnect_timeout, after which psycopg_pool would give up."""
    sizes = {"null": True} if null else {"min_size": 2}
    ours = connector(kind, victim.parameters(victim_database), timeout=30, reconnect_timeout=0.5, **sizes)

    async def scenario():
        await asyncio.to_thread(victim.stop)
        if kind in ASYNC_KINDS:
            task = asyncio.create_task(ours.open_async())
        else:
            task = asyncio.create_task(asyncio.to_thread(ours.open))
        await asyncio.sleep(2)
        assert not task.done()
        await asyncio.to_thread(victim.start)
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
        said, _ = opening(connector(kind, host, timeout=3, min_size=1))
    assert "127.0.0.1" in said
    assert str(silent) in said
    assert "timeout expired" in said or "no answer within" in said


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_an_unresolved_host_beside_a_closed_port(kind):
    with closed_port() as refuses:
        hosts = {**MANY, "host": "nowhere.invalid,127.0.0.1", "port": f"5432,{refuses}"}
        said, _ = opening(connector(kind, hosts, timeout=2, min_size=1))
    assert "nowhere.invalid" in said
    assert str(refuses) in said
    assert "refused" in said


@pytest.mark.parametrize("kind", KINDS)
def test_error_names_each_unresolved_host_once(kind):
    hosts = {**MANY, "host": "one.invalid,two.invalid"}
    said, _ = opening(connector(kind, hosts, timeout=2, min_size=1))
    assert said.count("one.invalid") == 1
    assert said.count("two.invalid") == 1
