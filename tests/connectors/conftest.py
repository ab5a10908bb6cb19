"""A database for each test, its address, and an observer with a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.servers import Observer


@pytest.fixture
def address(server: EmbeddedPostgres, database: str) -> dict[str, str]:
    """libpq's keywords for the test's database."""
    return server.parameters(database)


@pytest.fixture
def observer(server: EmbeddedPostgres, database: str) -> Iterator[Observer]:
    """Observes the test's database."""
    observer = Observer(server, database)
    with observer.connection:
        yield observer
