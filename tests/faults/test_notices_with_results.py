"""The server sends a notice right after a result: libpq reads both at once, and the socket is silent."""

from __future__ import annotations

import asyncio

import pytest

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import ConnectorKind
from tests.faults.fault_proxy import NOTIFICATION, SHUTDOWN
from tests.servers import ASYNC_KINDS, KINDS, app, connector, soon

AFTER = pytest.mark.parametrize("after", [b"defer_jobs", b"user\0"], ids=["another query", "the next login"])
"""The message whose result comes with the second termination notice; the first one comes after a query."""


@AFTER
@pytest.mark.parametrize("kind", KINDS)
def test_termination_notice_with_a_result_fails_no_synchronous_call(
    kind, after, observer, proxy, through_proxy
):
    jobs = app(connector(kind, through_proxy, min_size=1))
    with jobs.open():
        proxy.add(SHUTDOWN, b"defer_jobs", after)
        for number in range(4):
            jobs.tasks["work"].defer(argument=number)
    assert proxy.added == 2
    assert observer.jobs() == list(range(4))


@AFTER
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_termination_notice_with_a_result_fails_no_asynchronous_call(
    kind, after, observer, proxy, through_proxy
):
    jobs = app(connector(kind, through_proxy, min_size=1))

    async def scenario():
        async with jobs.open_async():
            proxy.add(SHUTDOWN, b"defer_jobs", after)
            for number in range(4):
                await jobs.tasks["work"].defer_async(argument=number)

    asyncio.run(scenario())
    assert proxy.added == 2
    assert observer.jobs() == list(range(4))


NOTICE = """
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told'; RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT ON procrastinate_jobs EXECUTE FUNCTION tell();
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_of_the_applications_own_discards_no_connection(kind, observer, server, database):
    observer.connection.execute(NOTICE)
    jobs = app(connector(kind, server.parameters(database), min_size=1))
    with jobs.open():
        for number in range(4):
            jobs.tasks["work"].defer(argument=number)
        assert pool_stats(jobs.connector).connections_lost == 0
    assert observer.jobs() == list(range(4))


@pytest.mark.parametrize("kind", [ConnectorKind.PSYCOPG2, ConnectorKind.SQLALCHEMY_PSYCOPG2])
def test_configure_may_replace_the_notices(kind, observer, server, database):
    class OwnNotices:
        def __init__(self):
            self.taken = []

        def append(self, notice):
            self.taken.append(notice)

    notices = OwnNotices()

    def configure(connection):
        connection.notices = notices

    observer.connection.execute(NOTICE)
    jobs = app(connector(kind, server.parameters(database), min_size=1, configure=configure))
    with jobs.open():
        for number in range(4):
            jobs.tasks["work"].defer(argument=number)
        assert pool_stats(jobs.connector).connections_lost == 0
    assert len(notices.taken) == 4
    assert observer.jobs() == list(range(4))


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_notification_with_a_result_is_delivered_at_once(kind, proxy, through_proxy):
    ours = connector(kind, through_proxy, min_size=1)
    received = []

    async def note(*, channel, payload):
        received.append((channel, payload))

    async def scenario():
        async with app(ours).open_async():
            proxy.add(NOTIFICATION, b'LISTEN "two"')
            listening = asyncio.create_task(ours.listen_notify(note, channels=["one", "two"]))
            await soon(lambda: received, 5)
            listening.cancel()
            await asyncio.wait([listening])

    asyncio.run(scenario())
    assert received == [("two", "hello")]
