"""A DSN is parsed once, and the result is passed on."""

from __future__ import annotations

import pytest
from psycopg import pq

from procrastinate_conn import ConnectorSettings
from procrastinate_conn.checks.runner import CheckTarget, check_target

DSNS = {
    "URI": "postgresql://app@localhost/jobs",
    "URI with a password that is not encoded": "postgresql://app:5/cret@localhost/jobs",
    "pairs": "host=localhost user=app password=hush",
    "pairs with commas between them": "host=localhost, dbname=jobs, user=app",
    "unknown keyword": "hots=localhost dbname=jobs",
    "malformed URI": "postgresql://localhost:port:5432/jobs",
}


@pytest.fixture
def parsed(monkeypatch):
    """What libpq was given to parse."""
    strings: list[str] = []
    parse = pq.Conninfo.parse

    def counting(conninfo: bytes) -> list[pq.ConninfoOption]:
        strings.append(conninfo.decode())
        return parse(conninfo)

    monkeypatch.setattr(pq.Conninfo, "parse", counting)
    return strings


@pytest.mark.parametrize("dsn", DSNS.values(), ids=DSNS)
@pytest.mark.parametrize("variable", ["PROCRASTINATE_CONN_DSN", "DATABASE_URL"])
def test_check_parses_a_dsn_once(dsn, variable, written, parsed):
    written.variables(**{variable: dsn})
    check_target(CheckTarget())
    assert parsed.count(dsn) == 1


def test_building_a_connector_parses_no_dsn_again(written, parsed):
    dsn = "postgresql://app:hush@localhost/jobs"
    written.variables(PROCRASTINATE_CONN_DSN=dsn)
    settings = ConnectorSettings()
    settings.spec()
    settings.make_connector()
    assert parsed.count(dsn) == 1
