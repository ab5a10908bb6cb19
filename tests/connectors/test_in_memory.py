"""The kind `in-memory` works jobs in the memory of the process, by the settings of the other kinds."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from procrastinate.testing import InMemoryConnector

from procrastinate_conn import ConfigurationError, ConnectorSettings, make_connector, pool_stats
from tests.servers import app

PRODUCTION = (
    "PROCRASTINATE_CONN_DSN=postgresql://app:${NOT_IN_TESTS}@db1/jobs?sslmode=verify-full\n"
    "PROCRASTINATE_CONN_CONNECTION__SERVICE=not-in-tests\n"
    "PROCRASTINATE_CONN_POOL__MAX_SIZE=200\n"
    "PROCRASTINATE_CONN_PASSWORD_FILE=/not/in/tests\n"
    "PROCRASTINATE_CONN_LISTEN__HOST=db2\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_environment_of_tests_replaces_the_connector_of_production(folder, monkeypatch, caplog):
    (folder / ".env").write_text(f"PROCRASTINATE_CONN_CONNECTOR=aiopg\n{PRODUCTION}")
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTOR", "in-memory")
    for memory in (make_connector(), ConnectorSettings().make_connector()):
        assert isinstance(memory, InMemoryConnector)
        assert set(dataclasses.astuple(pool_stats(memory))) == {0}
    assert caplog.records == []


def test_misspelt_setting_is_an_error_in_memory_too(folder):
    (folder / ".env").write_text("PROCRASTINATE_CONN_POOL__MAX_SIZ=8\n")
    with pytest.raises(ConfigurationError, match="did you mean max_size"):
        make_connector("in-memory")


def test_jobs_deferred_in_both_ways_are_worked_in_memory(folder):
    jobs = app(make_connector("in-memory"))

    async def defer_and_work() -> None:
        async with jobs.open_async():
            await jobs.tasks["work"].defer_async(argument="async")
            await jobs.run_worker_async(wait=False, install_signal_handlers=False)

    with jobs.open():
        jobs.tasks["work"].defer(argument="sync")
    asyncio.run(defer_and_work())
    assert jobs.worked == ["sync", "async"]
    assert [job["status"] for job in jobs.connector.jobs.values()] == ["succeeded", "succeeded"]
