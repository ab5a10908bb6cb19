"""A server that the tests may hurt, and a fresh database on it for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.faults.fault_proxy import FaultProxy
from tests.servers import Observer

DURABLE = {"synchronous_commit": "on"}
"""What the server has confirmed outlives its crash, as it does in production."""

SMALL = {"max_connections": "30", "superuser_reserved_connections": "0"}
"""Soon full."""


@pytest.fixture
def observer(server: EmbeddedPostgres, database: str) -> Iterator[Observer]:
    """Looks at the database on a connection of its own."""
    observer = Observer(server, database)
    with observer.connection:
        yield observer


@pytest.fixture
def proxy(server: EmbeddedPostgres) -> Iterator[FaultProxy]:
    """Stands before the server."""
    with FaultProxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def through_proxy(server: EmbeddedPostgres, database: str, proxy: FaultProxy) -> dict[str, str]:
    """The database's keywords, on the way through the proxy."""
    return {**server.parameters(database), "port": str(proxy.port)}


@pytest.fixture(scope="session")
def shared_server() -> Iterator[EmbeddedPostgres]:
    """The server; its database ``template`` has the schema."""
    with EmbeddedPostgres(settings={**DURABLE, **SMALL}) as server:
        apply_schema(server, server.create_database("template"))
        yield server


@pytest.fixture
def stoppable_server(shared_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The server, up again after the test, whatever the test has done to it."""
    yield shared_server
    if not (shared_server.data / "postmaster.pid").exists():
        shared_server.start()


@pytest.fixture
def stoppable_database(stoppable_server: EmbeddedPostgres) -> str:
    """The name of a fresh database of the stoppable_server's, with the schema."""
    return stoppable_server.create_database(template="template")


@pytest.fixture
def address(server: EmbeddedPostgres, database: str) -> dict[str, str]:
    """libpq's keywords for the test's database."""
    return server.parameters(database)
