"""The examples without a web server work their jobs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

import pytest

from procrastinate_conn.registry import REGISTRY, SERVER_KINDS, ConnectorKind
from tests.examples.running import Example
from tests.installed import needs

Copy = Callable[[str], Example]
WORKERS = [kind for kind in SERVER_KINDS if REGISTRY[kind].asynchronous]
DEFERRERS = [kind for kind in SERVER_KINDS if kind not in WORKERS]


def test_script_works_its_jobs(example: Copy) -> None:
    script = example("script")
    [command] = script.commands
    assert script.run(command) == "sent to ada@example.com\nsent to grace@example.com\n"


@pytest.mark.parametrize(
    ("worker", "deferrer"), list(zip_longest(WORKERS, DEFERRERS, fillvalue=ConnectorKind.PSYCOPG))
)
def test_worker_process_works_the_jobs_of_another_process(
    example: Copy, worker: ConnectorKind, deferrer: ConnectorKind
) -> None:
    pair = example("worker_and_deferrer")
    schema, defer, work = pair.commands
    pair.run(schema)
    with pair.running(f"PROCRASTINATE_CONN_CONNECTOR={worker} {work}") as working:
        deferred = pair.run(f"PROCRASTINATE_CONN_CONNECTOR={deferrer} {defer}")
        working.wait_for("5 x 7 = 35")

    assert deferred.count("deferred job") == 5
    assert working.output.read_text() == "".join(f"{n} x 7 = {n * 7}\n" for n in range(1, 6))
    assert working.process.returncode == 0


def test_procrastinate_command_uses_the_connector(example: Copy) -> None:
    command_line = example("command_line")
    schema, healthchecks, defer, work = command_line.commands
    command_line.run(schema)
    assert "App configuration: OK" in command_line.run(healthchecks)
    command_line.run(defer)
    assert "Hello, Ada!" in command_line.run(work)


def test_row_and_job_are_stored_together_or_not_at_all(example: Copy) -> None:
    needs("procrastinate>=3.8")  # older ones ignore connection=
    script = example("transaction")
    schema, store = script.commands
    script.run(schema)
    assert script.run(store) == "1 orders, 1 jobs\n"
