"""No secret of a connector's is in what is logged, raised or looked at, nor in the frames of a traceback.

Sentry and rich show the local variables of every frame.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from types import ModuleType

import pytest
from psycopg import sql

from procrastinate_conn import make_connector
from procrastinate_conn.pool import PoolOptions
from tests.conftest import apply_schema
from tests.faults.unresponsive import closed_port, silent_port
from tests.servers import ASYNC_KINDS, KINDS, app, soon

MARK = "marked-secret"
OURS = ("procrastinate_conn", "procrastinate", "psycopg", "psycopg_pool", "psycopg2", "aiopg", "sqlalchemy")
LOST = "SELECT pg_terminate_backend(pg_backend_pid())"
POOL = {"min_size": 1, "max_size": 2, "timeout": 0.5}


def in_frames(error):
    """Give all that is shown of an error with local variables, less those of this module."""
    waiting = [traceback.TracebackException.from_exception(error, capture_locals=True, compact=True)]
    while waiting:
        shown = waiting.pop()
        yield from shown.format_exception_only()
        for frame in shown.stack:
            if frame.filename != __file__:
                yield f"{frame.filename}:{frame.name} {frame.locals}"
        waiting.extend(link for link in (shown.__cause__, shown.__context__) if link is not None)


def in_attributes(thing, seen):
    """Give the representation of an object and, where its class is one of `OURS`, of all that hangs on it."""
    if id(thing) in seen or isinstance(thing, ModuleType | type):
        return
    seen[id(thing)] = thing
    yield f"{thing!r} {thing}"
    if type(thing).__module__.partition(".")[0] in OURS:
        for value in getattr(thing, "__dict__", {}).values():
            yield from in_attributes(value, seen)


def secrets_in(shown):
    return [text for text in shown if MARK in text]


@pytest.fixture(scope="module")
def marked(scram_server):
    """The address of a database, less the password, which is marked."""
    with scram_server.connect() as connection:
        connection.execute("CREATE ROLE marked LOGIN SUPERUSER")
        connection.execute(sql.SQL("ALTER ROLE marked PASSWORD {}").format(MARK))
    database = apply_schema(scram_server, scram_server.create_database())
    address = {**scram_server.parameters(database), "user": "marked"}
    del address["password"]
    return address


@pytest.fixture
def sources(marked, tmp_path):
    """Every way to state a password, as arguments of `make_connector`."""
    file = tmp_path / "password"
    file.write_text(MARK)
    file.chmod(0o600)
    return {
        "keyword": {"connection": {**marked, "password": MARK, "sslpassword": MARK}},
        "dsn": {"dsn": "postgresql://marked:{}@{host}:{port}/{dbname}".format(MARK, **marked)},
        "function": {"connection": marked, "password": lambda: MARK},
        "command": {"connection": marked, "password_command": f"cat '{file}'"},
        "file": {"connection": marked, "password_file": file},
    }


def used(connector):
    """Use the synchronous side of a connector while it is open and when it is not; give what is shown."""
    sync = connector.get_sync_connector()
    sync.open()
    yield from in_attributes(connector, {})
    for query in ("SELECT * FROM nowhere", LOST):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
            sync.execute_query(query)
        yield from in_frames(caught.value)
    sync.close()
    yield from in_attributes(connector, {})


async def used_in_a_loop(connector):
    """Do the same asynchronously, with a worker that loses its connections; return what is shown."""
    jobs = app(connector)
    shown = []
    async with jobs.open_async():
        worker = asyncio.create_task(jobs.run_worker_async(install_signal_handlers=False))
        await jobs.tasks["work"].defer_async()
        await soon(lambda: jobs.worked)
        await connector.execute_query_async(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        shown.extend(in_attributes(connector, {}))
        for query in ("SELECT * FROM nowhere", LOST):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
                await connector.execute_query_async(query)
            shown.extend(in_frames(caught.value))
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return shown


def logged(caplog):
    """Give what was logged, with what a record carries besides its text."""
    for record in caplog.records:
        yield f"{record.getMessage()} {record.args!r} {vars(record)!r}"
        if record.exc_info and record.exc_info[1]:
            yield from in_frames(record.exc_info[1])


@pytest.mark.parametrize("source", ["keyword", "dsn", "function", "command", "file"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shows_a_secret_while_all_goes_well_and_when_connections_are_lost(
    kind, source, sources, caplog
):
    caplog.set_level(logging.DEBUG)
    ours = make_connector(kind, env_file=None, pool={**POOL, "timeout": 10}, **sources[source])
    shown = list(used(ours))
    if kind in ASYNC_KINDS:
        shown.extend(asyncio.run(used_in_a_loop(ours)))
    assert secrets_in([*shown, *logged(caplog)]) == []
    assert caplog.records


@pytest.mark.parametrize("null", [False, True], ids=["pool", "null"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shows_a_secret_when_nothing_can_be_connected_to(kind, null, sources, caplog):
    caplog.set_level(logging.DEBUG)
    pool = PoolOptions({"max_size": 4, "timeout": 0.3}, null=null)
    with closed_port() as closed:
        for arguments in sources.values():
            elsewhere = {**arguments, "connection": {**arguments.get("connection", {}), "port": str(closed)}}
            ours = make_connector(kind, env_file=None, pool=pool, **elsewhere)
            with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
                asyncio.run(ours.open_async()) if kind in ASYNC_KINDS else ours.open()
            assert secrets_in([*in_frames(caught.value), *logged(caplog)]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_frame_holds_a_secret_where_an_attempt_to_connect_fails(kind, marked, sources):
    """psycopg's own frames hold the connection string, and everything that is in it."""

    def failure(configure=None, **arguments):
        options = {"configure": configure} if configure else {}
        connection_factory = make_connector(
            kind, env_file=None, pool=options, **arguments
        ).make_connection_factory()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
            asyncio.run(connection_factory.connect()) if kind in ASYNC_KINDS else connection_factory.connect()
        return list(in_frames(caught.value))

    async def fails_in_a_loop(_):
        raise ValueError("no")

    def fails(_):
        raise ValueError("no")

    with closed_port() as closed:
        assert secrets_in(failure(connection={**marked, "port": str(closed), "password": MARK})) == []
    assert secrets_in(failure(connection={**marked, "password": f"{MARK}, a wrong one"})) == []
    configured = failure(fails_in_a_loop if kind in ASYNC_KINDS else fails, **sources["keyword"])
    assert any("ValueError" in text for text in configured)
    assert secrets_in(configured) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_frame_holds_the_last_password_of_a_source_that_fails(kind, marked, tmp_path, monkeypatch):
    monkeypatch.setattr("procrastinate_conn.passwords.COMMAND_CACHED_FOR", 0.0)
    file = tmp_path / "password"
    file.write_text(MARK)
    pool = {**POOL, "timeout": 2}
    ours = make_connector(kind, env_file=None, pool=pool, connection=marked, password_command=f"cat '{file}'")
    sync = ours.get_sync_connector()
    sync.open()
    sync.close()
    file.unlink()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        sync.open()
    shown = list(in_frames(caught.value))
    assert any("the command ended with status 1" in text for text in shown)
    assert secrets_in(shown) == []


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_no_frame_holds_a_secret_where_an_attempt_to_connect_is_cancelled(kind):
    """As by a time limit around a call, with a null pool, which connects in the caller's task."""

    async def connect(port):
        connection = {"host": "127.0.0.1", "port": str(port), "password": MARK}
        connection_factory = make_connector(
            kind, env_file=None, connection=connection
        ).make_connection_factory()
        async with asyncio.timeout(0.3):
            await connection_factory.connect()

    with silent_port() as silent, pytest.raises(TimeoutError) as caught:
        asyncio.run(connect(silent))
    assert secrets_in(in_frames(caught.value)) == []
