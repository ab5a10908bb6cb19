"""The embedded server: it starts, restarts in place, and leaves nothing behind."""

from __future__ import annotations

import psycopg
import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres

pytestmark = pytest.mark.subprocess


@pytest.mark.parametrize("version", [16, 18])
def test_server_accepts_tcp_and_unix_sockets_and_leaves_nothing_behind(version):
    with EmbeddedPostgres(version=version) as server:
        jobs = server.create_database("jobs")
        for unix_socket in (False, True):
            with psycopg.connect(server.dsn(jobs, unix_socket=unix_socket)) as connection:
                assert connection.info.server_version // 10_000 == version
                assert connection.info.dbname == "jobs"
    assert not server.directory.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn())


def test_scram_server_rejects_a_wrong_password():
    with EmbeddedPostgres(auth="scram-sha-256") as server:
        server.connect().close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(), password="wrong")


def test_crash_and_restart_keep_port_and_data():
    with EmbeddedPostgres() as server:
        jobs = server.create_database("jobs")
        server.restart("immediate")
        server.connect(jobs).close()


def test_failed_start_raises_the_log_and_leaves_nothing_behind():
    server = EmbeddedPostgres(settings={"shared_buffers": "many"})
    with pytest.raises(RuntimeError, match="shared_buffers"), server:
        pass
    assert not server.directory.exists()


def test_new_database_is_a_copy_of_the_template(server, database):
    with server.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
