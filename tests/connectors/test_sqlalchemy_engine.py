"""The engine of the SQLAlchemy connector loses no connection, whatever its user does with one."""

from __future__ import annotations

import psycopg2
import pytest

from procrastinate_conn.kinds import ConnectorKind
from tests.servers import connector


def test_a_connection_whose_closing_fails_leaves_its_place_in_the_pool(address, observer):
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
