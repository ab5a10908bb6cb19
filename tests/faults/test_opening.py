"""Opening when no server is there: an error within the timeout that gives a reason for each host."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from procrastinate.exceptions import ConnectorException

from tests.faults.unresponsive import closed_port, silent_port
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
@pytest.mark.server  # silent ones, for which it waits
def test_error_names_each_host_with_its_reason(kind):
    """At the same time, since most of it is waiting."""
    with closed_port() as closed, silent_port() as silent, ThreadPoolExecutor() as threads:

        def failing(timeout, **host):
            return threads.submit(opening, connector(kind, {**MANY, **host}, timeout=timeout, min_size=2))

        mixed = failing(4, host="127.0.0.1,127.0.0.1", port=f"{closed},{silent}")
        pending = failing(1, host="127.0.0.1", port=str(silent), connect_timeout="30")
        alone = failing(3, host="127.0.0.1", port=str(silent))
        half_resolved = failing(2, host="nowhere.invalid,127.0.0.1", port=f"5432,{closed}")
        unresolved = failing(2, host="one.invalid,two.invalid")

        message, seconds = mixed.result()
        assert "pool initialization incomplete after 4.00 sec" in message
        assert all(part in message for part in (str(closed), "refused", str(silent)))
        assert "timeout expired" in message or "no answer within" in message
        assert seconds < 4 + 3

        message, seconds = pending.result()
        assert f"after 1.00 sec; there is no answer yet from 127.0.0.1:{silent}" in message
        assert seconds < 1 + 3

        message, _ = alone.result()
        assert "127.0.0.1" in message
        assert str(silent) in message
        assert "timeout expired" in message or "no answer within" in message

        message, _ = half_resolved.result()
        assert all(part in message for part in ("nowhere.invalid", str(closed), "refused"))

        message, _ = unresolved.result()
        assert message.count("one.invalid") == message.count("two.invalid") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_openings_succeed_once_the_server_is_there(kind, stoppable_server, stoppable_database):
    """Those that wait, also beyond reconnect_timeout, and one that had failed."""
    address = stoppable_server.parameters(stoppable_database)
    patient = {"timeout": 30, "reconnect_timeout": 0.5}
    stoppable_server.stop()
    with ThreadPoolExecutor() as threads:
        waiting = [
            threads.submit(defer, app(connector(kind, address, **patient, **sizes)))
            for sizes in ({"min_size": 2}, {"null": True})
        ]
        failed = app(connector(kind, address, timeout=0.7, min_size=1))
        for _ in range(2):
            with pytest.raises(ConnectorException):
                defer(failed)
        assert not any(opening.done() for opening in waiting)
        stoppable_server.start()
        for opening in waiting:
            opening.result(30)
    defer(failed)


def defer(jobs):
    """Open, defer a job and close."""

    async def asynchronously():
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async()

    if jobs.connector.config.kind in ASYNC_KINDS:
        asyncio.run(asynchronously())
    else:
        with jobs.open():
            jobs.tasks["work"].defer()
