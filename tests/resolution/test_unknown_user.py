"""A process whose user the system does not know: libpq has no user to log in as, and nothing else changes."""

from __future__ import annotations

import psycopg2  # noqa: F401 - not readable for everybody
import pytest

from procrastinate_conn.configuration import configure
from procrastinate_conn.connectors import config as connector_config  # noqa: F401
from procrastinate_conn.registry import SERVER_KINDS
from procrastinate_conn.sources.arguments import read_call
from tests.resolution.other_user import as_unknown_user

pytestmark = pytest.mark.subprocess


def found(kind, connection):
    def ask():
        configuration = configure([read_call({"connector": kind, "connection": connection})])
        problems = [(p.code, p.setting, p.hint) for p in configuration.problems]
        return [problems, configuration.spec and configuration.spec.parameters["dbname"]]

    return as_unknown_user(ask)


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_connection_with_a_user_is_valid_for_an_unknown_user(kind):
    connection = {
        "host": "db1",
        "port": 5433,
        "user": "app",
        "sslmode": "require",
        "keepalives": 1,
        "keepalives_idle": 7,
        "tcp_user_timeout": 5000,
    }
    assert found(kind, connection) == [[], "app"]


@pytest.mark.parametrize("keywords", [{}, {"user": ""}])
def test_connection_without_a_user_is_one_problem_for_an_unknown_user(keywords):
    problems, _ = found("psycopg", {"host": "db1", "port": 5433, "keepalives_idle": 7, **keywords})
    [(code, setting, hint)] = problems
    assert (code, setting) == ("PC205", "connection.user")
    assert "set a user" in hint


def test_other_problems_are_found_beside_a_missing_user():
    problems, _ = found("psycopg", {"host": "db1,db2", "hostaddr": "127.0.0.1", "keepalives_idle": "5x"})
    assert {(code, setting) for code, setting, _ in problems} == {
        ("PC206", "connection.hostaddr"),
        ("PC205", "connection.user"),
    }
    problems, _ = found("psycopg", {"host": "db1", "user": "app", "keepalives_idle": "5x", "sslmode": "x"})
    assert {setting for _, setting, _ in problems} == {"connection.keepalives_idle", "connection.sslmode"}
