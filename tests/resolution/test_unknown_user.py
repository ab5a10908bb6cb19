"""A process whose user the system does not know: libpq has no user to log in as, and nothing else changes."""

from __future__ import annotations

import psycopg2  # noqa: F401 - not readable for everybody
import pytest

from procrastinate_conn import ConnectorKind
from procrastinate_conn.configuration import configure
from procrastinate_conn.connectors import config as connector_config  # noqa: F401
from procrastinate_conn.sources.arguments import read_call
from tests.resolution.other_user import as_unknown_user

pytestmark = pytest.mark.subprocess


def found(kind, connection):
    def ask():
        configuration = configure([read_call({"connector": kind, "connection": connection})])
        problems = [(p.code, p.setting, p.hint) for p in configuration.problems]
        return [problems, configuration.spec and configuration.spec.parameters["dbname"]]

    return as_unknown_user(ask)


@pytest.mark.parametrize("kind", list(ConnectorKind))
def test_a_connection_that_states_its_user_is_in_order(kind):
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


@pytest.mark.parametrize("stated", [{}, {"user": ""}])
def test_one_that_states_none_is_one_finding_that_says_so(stated):
    problems, _ = found("psycopg", {"host": "db1", "port": 5433, "keepalives_idle": 7, **stated})
    [(code, setting, hint)] = problems
    assert (code, setting) == ("PC205", "connection.user")
    assert "set a user" in hint


def test_what_else_is_wrong_is_found_all_the_same():
    problems, _ = found("psycopg", {"host": "db1,db2", "hostaddr": "127.0.0.1", "keepalives_idle": "5x"})
    assert {(code, setting) for code, setting, _ in problems} == {
        ("PC206", "connection.hostaddr"),
        ("PC205", "connection.user"),
    }
    problems, _ = found("psycopg", {"host": "db1", "user": "app", "keepalives_idle": "5x", "sslmode": "x"})
    assert {setting for _, setting, _ in problems} == {"connection.keepalives_idle", "connection.sslmode"}
