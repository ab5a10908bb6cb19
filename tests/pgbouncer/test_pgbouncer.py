"""The profile for PgBouncer in transaction mode, against the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate.exceptions import ConnectorException

from procrastinate_conn import make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.pgbouncer.bouncer import COMMAND, SERVER_CONNECTIONS, PgBouncer, version
from tests.servers import ASYNC_KINDS, KINDS, app, soon

pytestmark = pytest.mark.skipif(COMMAND is None, reason="pgbouncer is not installed")

PROFILE = Path(__file__).parents[2] / "settings" / "pgbouncer.env"
THREADS = 6
OPTIONS = "-c statement_timeout=5s"
LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'"
PSYCOPG = [ConnectorKind.PSYCOPG, ConnectorKind.SYNC_PSYCOPG]


@pytest.fixture
def bouncer(server: EmbeddedPostgres) -> Iterator[PgBouncer]:
    """PgBouncer before the tests' server."""
    with PgBouncer(server) as bouncer:
        yield bouncer


@pytest.fixture
def profiled(bouncer: PgBouncer, database: str) -> Callable[..., procrastinate.App]:
    """Make applications on a connector of the profile, with PgBouncer's address in the place of its own."""

    def make(kind: ConnectorKind, **settings: Any) -> procrastinate.App:
        address = bouncer.parameters(database)
        return app(make_connector(kind, env_file=PROFILE, connection=address, **settings))

    return make


def jobs(server: EmbeddedPostgres, database: str) -> list[tuple[int, str]]:
    """Return the argument and the status of every job, asked of the server itself."""
    query = "SELECT (args ->> 'argument')::int, status::text FROM procrastinate_jobs ORDER BY 1"
    with server.connect(database) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("kind", KINDS)
def test_threads_that_share_server_connections_defer_every_job_once(
    kind, profiled, bouncer, server, database
):
    with profiled(kind).open() as deferring, ThreadPoolExecutor(THREADS) as threads:
        defer = deferring.tasks["work"].defer
        list(threads.map(lambda number: defer(argument=number), range(120)))
        with server.connect(database) as connection:
            lent = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            ).fetchone()
    assert jobs(server, database) == [(number, "todo") for number in range(120)]
    assert lent is not None
    assert lent[0] <= SERVER_CONNECTIONS
    assert bouncer.transactions(database) >= 120


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_tasks_that_share_server_connections_defer_every_job_once(kind, profiled, server, database):
    async def scenario() -> None:
        async with profiled(kind).open_async() as deferring:
            defer = deferring.tasks["work"].defer_async
            await asyncio.gather(*[defer(argument=number) for number in range(120)])

    asyncio.run(scenario())
    assert jobs(server, database) == [(number, "todo") for number in range(120)]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_a_worker_that_polls_works_every_job_once(kind, profiled, server, database):
    async def scenario() -> list[Any]:
        async with profiled(kind).open_async() as working:
            running = asyncio.create_task(
                working.run_worker_async(
                    concurrency=4,
                    listen_notify=False,
                    fetch_job_polling_interval=0.05,
                    install_signal_handlers=False,
                )
            )
            for number in range(30):
                await working.tasks["work"].defer_async(argument=number)
            await soon(lambda: len(working.worked) >= 30)
            await soon(lambda: [status for _, status in jobs(server, database)] == ["succeeded"] * 30)
            running.cancel()
            await asyncio.wait([running])
            return working.worked

    assert sorted(asyncio.run(scenario())) == list(range(30))


@pytest.mark.parametrize("kind", ASYNC_KINDS)
@pytest.mark.parametrize("form", ["keywords", "dsn"])
def test_worker_that_listens_past_pgbouncer_is_woken_at_once(form, kind, profiled, server, database):
    direct = {"host": server.host, "port": str(server.port)}
    listen = direct if form == "keywords" else {"dsn": f"postgresql://{server.user}@/{database}", **direct}
    woken_after = []

    async def scenario() -> None:
        working = profiled(kind, listen=listen)
        async with working.open_async():
            running = asyncio.create_task(
                working.run_worker_async(fetch_job_polling_interval=600, install_signal_handlers=False)
            )
            with server.connect() as observer:
                await soon(lambda: observer.execute(LISTENING, [database]).fetchone() == (1,))
            deferred_at = monotonic()
            await working.tasks["work"].defer_async(argument=1)
            await soon(lambda: working.worked == [1])
            woken_after.append(monotonic() - deferred_at)
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(scenario())
    assert woken_after[0] < 2  # without LISTEN it would be 600 s


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_polls_if_listen_is_off(kind, profiled, server, database, caplog):
    caplog.set_level("INFO", "procrastinate_conn")

    async def scenario() -> None:
        working = profiled(kind, listen="off")
        async with working.open_async():
            running = asyncio.create_task(
                working.run_worker_async(fetch_job_polling_interval=0.05, install_signal_handlers=False)
            )
            await working.tasks["work"].defer_async(argument=1)
            await soon(lambda: working.worked == [1])
            with server.connect() as observer:
                assert observer.execute(LISTENING, [database]).fetchone() == (0,)
            running.cancel()
            await asyncio.wait([running], timeout=10)
            assert running.done()

    asyncio.run(scenario())
    assert "listen is off: the worker polls for jobs" in caplog.messages


def test_pgbouncer_passes_on_no_notification(bouncer, server, database):
    """Why the profile lets workers poll."""
    with (
        psycopg.connect(**bouncer.parameters(database), autocommit=True) as through,
        server.connect(database) as straight,
        server.connect(database) as notifying,
    ):
        for connection in (through, straight):
            connection.execute("LISTEN word")
        notifying.execute("NOTIFY word")
        assert len(list(straight.notifies(timeout=20, stop_after=1))) == 1
        assert list(through.notifies(timeout=0.5)) == []


@pytest.mark.parametrize("kind", PSYCOPG)
@pytest.mark.skipif(version() >= (1, 21), reason="this PgBouncer keeps track of prepared queries")
def test_prepared_queries_get_lost(kind, bouncer, database):
    """Why the profile prepares nothing."""
    preparing = make_connector(kind, env_file=None, connection=bouncer.parameters(database))
    with app(preparing).open() as deferring, ThreadPoolExecutor(THREADS) as threads:
        defers = [threads.submit(deferring.tasks["work"].defer, argument=number) for number in range(200)]
        errors = [defer.exception() for defer in defers]
    causes = [str(error.__cause__) for error in errors if isinstance(error, ConnectorException)]
    assert any("prepared statement" in cause for cause in causes)


def test_options_of_the_environment_do_not_reach_pgbouncer(profiled, server, database, monkeypatch):
    monkeypatch.setenv("PGOPTIONS", OPTIONS)
    with profiled(ConnectorKind.PSYCOPG).open() as deferring:
        deferring.tasks["work"].defer(argument=1)
    assert jobs(server, database) == [(1, "todo")]


def test_pgbouncer_rejects_options(bouncer, database):
    """Why the profile keeps them out."""
    address = {**bouncer.parameters(database), "options": OPTIONS}
    stating = make_connector(env_file=None, connection=address, pool={"timeout": 2})
    with pytest.raises(ConnectorException) as caught, app(stating).open():
        pass
    assert "unsupported startup parameter: options" in str(caught.value.__cause__)


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_of_pgbouncer_costs_no_defer(kind, profiled, bouncer, server, database):
    with profiled(kind).open() as deferring:
        for number in range(10):
            deferring.tasks["work"].defer(argument=number)
        bouncer.stop()
        bouncer.start()
        for number in range(10, 20):
            deferring.tasks["work"].defer(argument=number)
    assert jobs(server, database) == [(number, "todo") for number in range(20)]


def test_profile_builds_every_kind(profiled):
    for kind in KINDS:
        connector = profiled(kind).connector
        assert type(connector).__name__ == REGISTRY[kind].implementation_class
