"""The engine of the SQLAlchemy connector loses no connection, whatever its user does with one."""

from __future__ import annotations

import psycopg2
import pytest

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import ConnectorKind
from tests.servers import connector, wait_until


def test_connection_whose_closing_fails_loses_no_slot(address, observer):
    ours = connector(ConnectorKind.SQLALCHEMY_PSYCOPG2, address, min_size=1, max_size=1, timeout=5)
    ours.open()
    for _ in range(2):
        raw = ours.engine.raw_connection()
        raw.cursor().execute("SELECT 1")
        detached = raw.driver_connection
        raw.detach()
        assert observer.terminate("idle in transaction") == 1
        with pytest.raises(psycopg2.Error):
            detached.close()
    with ours.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    ours.close()


def test_connection_lost_while_an_engine_initializes_loses_no_slot(address, observer, monkeypatch):
    """SQLAlchemy before 2.1 forgets it; the farewell comes a moment too late to be seen."""
    ours = connector(ConnectorKind.SQLALCHEMY_PSYCOPG2, address, min_size=1, max_size=1, timeout=20)
    ours.open()
    observer.terminate()
    should_ping = ours.own_pool.connection_factory.should_ping
    asked = []

    def too_early(connection):
        asked.append(connection)
        return len(asked) > 1 and should_ping(connection)

    monkeypatch.setattr(ours.own_pool.connection_factory, "should_ping", too_early)
    ours.execute_query("SELECT 1")
    wait_until(lambda: pool_stats(ours).in_use == 0)
    ours.close()
