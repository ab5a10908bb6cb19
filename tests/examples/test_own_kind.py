"""The example of a kind of another package, installed into a directory of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from procrastinate_conn import ConfigurationError, entry_points, make_connector, pool_stats
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import ConnectorKind
from tests.checks.running import run
from tests.examples.running import EXAMPLES
from tests.servers import Observer, app, soon

SPECIAL = 'a "b" \\ {c}, (d) % é \n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory into which the example is installed, as it is from PyPI."""
    folder = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder))
    command = [sys.executable, "-m", "pip", "install", *options, str(EXAMPLES / "own_kind")]
    subprocess.run(command, check=True, timeout=120)
    return folder


@pytest.fixture
def kind(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectorKind]:
    monkeypatch.syspath_prepend(str(site))
    entry_points.forget()
    yield ConnectorKind("pg8000")
    entry_points.forget()


def test_own_kind_defers_and_works_jobs_and_survives_terminated_backends(
    kind: ConnectorKind, server: EmbeddedPostgres, database: str
) -> None:
    pool = {"min_size": 2, "max_size": 2, "timeout": 5}
    jobs = app(make_connector(kind, connection=server.parameters(database), pool=pool, env_file=None))
    observer = Observer(server, database)
    with jobs.open():
        jobs.tasks["work"].defer(argument="synchronously")
    asyncio.run(defer_and_work(jobs, observer))
    assert observer.one("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") == 5
    observer.connection.close()
    assert jobs.worked == ["synchronously", SPECIAL, {"b": [1, None]}, "after the loss", "by notification"]


async def defer_and_work(jobs, observer: Observer) -> None:
    task = jobs.tasks["work"]
    async with jobs.open_async():
        assert pool_stats(jobs.connector).idle == 2
        await task.batch_defer_async({"argument": SPECIAL}, {"argument": {"b": [1, None]}})
        assert observer.terminate() == 2
        await task.configure(queueing_lock="once").defer_async(argument="after the loss")
        assert pool_stats(jobs.connector).connections_lost > 0
        with pytest.raises(AlreadyEnqueued):
            await task.configure(queueing_lock="once").defer_async(argument="twice")
        worker = asyncio.create_task(jobs.run_worker_async(fetch_job_polling_interval=60))
        await soon(lambda: len(jobs.worked) == 4)
        await asyncio.to_thread(observer.terminate)  # the one that listens, too
        await soon(lambda: observer.one("SELECT bool_or(query ~ '^LISTEN') FROM pg_stat_activity"))
        await asyncio.to_thread(task.defer, argument="by notification")
        await soon(lambda: len(jobs.worked) == 5)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def test_own_kind_has_the_pool_options_that_it_states(
    kind: ConnectorKind, server: EmbeddedPostgres, database: str
) -> None:
    async def ask_three_times(connector) -> None:
        await connector.open_async()
        asked = [asyncio.create_task(connector.execute_query_async("SELECT pg_sleep(0.2)")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ConnectorException, match="has already 1 requests waiting"):
            await connector.execute_query_async("SELECT 1")
        await asyncio.gather(*asked)
        assert (pool_stats(connector).connections_made, pool_stats(connector).requests_failed) == (1, 1)
        await connector.close_async()

    address = server.parameters(database)
    pool = {"max_size": 1, "min_size": 1, "max_waiting": 1}
    asyncio.run(ask_three_times(make_connector(kind, connection=address, pool=pool, env_file=None)))
    with pytest.raises(ConfigurationError, match="prepare_threshold is not possible on the pg8000 connector"):
        make_connector(kind, connection=address, pool={"prepare_threshold": 3}, env_file=None)
    with pytest.raises(ConfigurationError, match="pg8000 cannot carry out 'require' for sslmode"):
        make_connector(kind, connection={**address, "sslmode": "require"}, env_file=None)


COMMANDS = """
from procrastinate_conn.cli import app

for command in ("connectors", "check", "show", "doctor", "schema"):
    app([command, *([] if command == "schema" else ["--format", "json"])], standalone_mode=False)
    print(end="\\0")
"""


def test_every_command_knows_the_own_kind(
    site: Path, server: EmbeddedPostgres, database: str, tmp_path: Path
) -> None:
    dotenv = f"PROCRASTINATE_CONN_CONNECTOR=pg8000\nPROCRASTINATE_CONN_DSN={server.dsn(database)}\n"
    (tmp_path / ".env").write_text(dotenv)
    done = run(tmp_path, script=COMMANDS, import_first=[site])
    assert done.returncode == 0, done.stdout + done.stderr
    listed, checked, shown, examined, schema = map(json.loads, done.stdout.strip("\0").split("\0"))
    pg8000 = listed["connectors"][-1]
    assert (pg8000["kind"], pg8000["package"], pg8000["usable"]) == ("pg8000", "own-kind 1.0", True)
    assert checked["configurations"][0]["connector"] == "pg8000"
    assert shown["connector"]["value"] == "pg8000"
    assert examined["connector"] == "pg8000"
    jsonschema.validate({"connector": "pg8000"}, schema)
