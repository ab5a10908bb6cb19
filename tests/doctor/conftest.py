"""Fixtures of the doctor's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema


@pytest.fixture(autouse=True)
def empty_home_directory(tmp_path, monkeypatch):
    """Hide the developer's certificates, keys and passwords."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def scram() -> Iterator[EmbeddedPostgres]:
    """A server that requires passwords; its database ``jobs`` has the schema."""
    with EmbeddedPostgres(auth="scram-sha-256") as server:
        apply_schema(server, server.create_database("jobs"))
        yield server


@pytest.fixture
def address(server: EmbeddedPostgres, database: str) -> dict[str, str]:
    """libpq's keywords for the test's database."""
    return server.parameters(database)


@pytest.fixture
def role(server: EmbeddedPostgres, database: str) -> Iterator[str]:
    """The name of a role without privileges of its own."""
    name = f"app_{database}"
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    with server.connect(database) as connection:
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")
