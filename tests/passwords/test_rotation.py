"""A role's password changes under load: no call fails, once its source has the new one."""

from __future__ import annotations

import asyncio
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from procrastinate_conn import make_connector, passwords
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.servers import ASYNC_KINDS, KINDS, app, soon, wait_until

OLD, NEW = "old-marked-secret", "new-marked-secret"
RETIRING = {"min_size": 2, "max_size": 4, "max_lifetime": 0.3, "timeout": 30}
"""Short-lived connections, so that each caller soon gets one that was made with the current password."""


@pytest.fixture(scope="module")
def scram() -> Iterator[EmbeddedPostgres]:
    """A server that requires passwords and logs connections."""
    with EmbeddedPostgres(auth="scram-sha-256", settings={"log_connections": "on"}) as server:
        apply_schema(server, server.create_database("template"))
        with server.connect() as connection:
            connection.execute("CREATE ROLE app LOGIN SUPERUSER")
        yield server


class Rotation:
    """A role whose password and its copy, in a file, change one after the other."""

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self.database = server.create_database(template="template")
        self.address = {**server.parameters(self.database), "user": "app"}
        del self.address["password"]
        self.file = folder / "password"
        self.passfile = folder / "pgpass"
        self.observer = server.connect(self.database)
        self.server = server
        self.alter_role(OLD)
        self.write(OLD)

    def alter_role(self, password: str) -> None:
        """Change the password that the server accepts."""
        self.observer.execute(sql.SQL("ALTER ROLE app PASSWORD {}").format(password))

    def write(self, password: str) -> None:
        """Change the files that connectors read, atomically."""
        for file, content in ((self.file, password), (self.passfile, f"*:*:*:app:{password}")):
            new = file.with_suffix(".new")
            new.touch(mode=0o600)
            new.write_text(content)
            new.replace(file)

    def rejections(self) -> int:
        """Return how often the server has rejected a password."""
        return self.server.log.read_text(errors="replace").count("password authentication failed")

    def deferred(self) -> int:
        """Return how many jobs are stored."""
        return self.one("SELECT count(*) FROM procrastinate_jobs")

    def one(self, query: str) -> Any:
        """Return the first column of a query's first row."""
        return self.observer.execute(query).fetchone()[0]

    def now(self) -> Any:
        """Return the server's time."""
        return self.one("SELECT clock_timestamp()")

    def sessions_since(self, moment: Any) -> tuple[int, int]:
        """Return how many of the role's sessions began since then, and how many before."""
        row = self.observer.execute(
            "SELECT count(*) FILTER (WHERE backend_start > %(moment)s),"
            " count(*) FILTER (WHERE backend_start <= %(moment)s)"
            " FROM pg_stat_activity WHERE usename = 'app' AND datname = current_database()",
            {"moment": moment},
        ).fetchone()
        assert row is not None
        return row


@pytest.fixture
def rotation(scram: EmbeddedPostgres, tmp_path: Path) -> Iterator[Rotation]:
    """The role of one test, in a database of its own."""
    rotation = Rotation(scram, tmp_path)
    yield rotation
    rotation.observer.close()
    scram.drop_database(rotation.database)


def from_file(rotation: Rotation) -> dict[str, Any]:
    return {"password_file": rotation.file}


def from_command(rotation: Rotation) -> dict[str, Any]:
    code = "import sys; print(open(sys.argv[1]).read())"
    return {"password_command": shlex.join([sys.executable, "-c", code, str(rotation.file)])}


def from_function(rotation: Rotation) -> dict[str, Any]:
    return {"password": rotation.file.read_text}


def from_passfile(rotation: Rotation) -> dict[str, Any]:
    return {"connection": {"passfile": str(rotation.passfile)}}


Source = Callable[[Rotation], dict[str, Any]]


def connector(kind: str, rotation: Rotation, source: Source, pool: dict[str, Any]) -> Any:
    arguments = source(rotation)
    arguments["connection"] = {**rotation.address, **arguments.get("connection", {})}
    return make_connector(kind, env_file=None, pool=pool, **arguments)


def sources_by_kind() -> list[Any]:
    """Files on every kind; the other sources on one kind of each driver."""
    others = (from_command, from_function, from_passfile)
    return [(kind, from_file) for kind in KINDS] + [
        (kind, source) for source in others for kind in ("sync-psycopg", "psycopg2")
    ]


@pytest.mark.parametrize(("kind", "source"), sources_by_kind())
def test_synchronous_calls_succeed_across_a_password_change(kind, source, rotation, monkeypatch):
    monkeypatch.setattr(passwords, "COMMAND_CACHED_FOR", 0.2)
    jobs = app(connector(kind, rotation, source, RETIRING))
    enough = threading.Event()

    def keep_deferring() -> int:
        made = 0
        while not enough.wait(0.005):
            jobs.tasks["work"].defer(argument=made)
            made += 1
        return made

    rejected = rotation.rejections()
    with jobs.open(), ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(keep_deferring) for _ in range(4)]
        try:
            wait_until(lambda: rotation.deferred() > 20)
            rotation.alter_role(NEW)
            wait_until(lambda: rotation.rejections() > rejected, within=30)
            changed = rotation.now()
            rotation.write(NEW)
            stored = rotation.deferred()
            wait_until(lambda: rotation.sessions_since(changed)[0] >= 2, within=30)
            wait_until(lambda: rotation.deferred() > stored + 20, within=30)
        finally:
            enough.set()
        made = sum(load.result(40) for load in loads)  # raises what a call has raised
    assert made == rotation.deferred()


@pytest.mark.parametrize("source", [from_file, from_command, from_function, from_passfile])
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_asynchronous_calls_worker_and_listen_survive_a_password_change(kind, source, rotation, monkeypatch):
    monkeypatch.setattr(passwords, "COMMAND_CACHED_FOR", 0.2)
    jobs = app(connector(kind, rotation, source, RETIRING))
    rejected = rotation.rejections()

    async def keep_deferring(enough: asyncio.Event) -> int:
        made = 0
        while not enough.is_set():
            await jobs.tasks["work"].defer_async(argument=made)
            made += 1
            await asyncio.sleep(0.02)
        return made

    async def scenario() -> int:
        enough = asyncio.Event()
        async with jobs.open_async():
            worker = asyncio.create_task(
                # It polls so rarely that it learns of a job only by LISTEN.
                jobs.run_worker_async(fetch_job_polling_interval=600, install_signal_handlers=False)
            )
            await soon(lambda: listeners(rotation))
            load = asyncio.create_task(keep_deferring(enough))
            await soon(lambda: len(jobs.worked) > 20)
            rotation.alter_role(NEW)
            old_listener = listeners(rotation)
            rotation.observer.execute("SELECT pg_terminate_backend(%s, 10000)", old_listener)
            await soon(lambda: rotation.rejections() > rejected, within=30)
            rotation.write(NEW)
            await soon(lambda: listeners(rotation) not in ([], old_listener), within=30)
            enough.set()
            made = await load  # raises what a call has raised
            for _ in range(5):  # procrastinate forgets a notification that comes while it fetches
                await jobs.tasks["work"].defer_async(argument="notified")
                made += 1
                with suppress(TimeoutError):
                    await soon(lambda: len(jobs.worked) == made, within=6)  # noqa: B023 - called at once
                    break
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            return made

    made = asyncio.run(scenario())
    assert made == rotation.deferred() == len(jobs.worked)


def listeners(rotation: Rotation) -> list[int]:
    """Return the processes of the role's sessions that listen: the only ones that outlive the others."""
    rows = rotation.observer.execute(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND datname = current_database()"
        " AND query LIKE 'LISTEN%'"
    )
    return [process for (process,) in rows.fetchall()]
