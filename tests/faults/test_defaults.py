"""The resilient defaults are in force on the sockets of every kind, unless libpq's are asked for."""

from __future__ import annotations

import socket
import sys

import pytest

from procrastinate_conn import make_connector
from procrastinate_conn.sources.defaults import resilient_defaults
from tests.servers import KINDS, Observer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the names of the socket options are Linux's")

ON_THE_SOCKET = {
    "keepalives": (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    "keepalives_idle": (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
    "keepalives_interval": (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
    "keepalives_count": (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
    "tcp_user_timeout": (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"),
}


def on_the_socket(kind, dsn, **options):
    """Return the socket options of a connection of a connector's, and the connector."""
    ours = make_connector(kind, dsn=dsn, env_file=None, pool={"min_size": 1}, **options).get_sync_connector()
    ours.open()
    connection = ours.own_pool.getconn()
    with socket.socket(fileno=connection.fileno()) as opened:
        found = {
            name: opened.getsockopt(level, getattr(socket, option))
            for name, (level, option) in ON_THE_SOCKET.items()
        }
        opened.detach()
    ours.own_pool.putconn(connection)
    return found, ours


@pytest.mark.parametrize("kind", KINDS)
def test_the_resilient_defaults_are_in_force(kind, server, database):
    found, ours = on_the_socket(kind, server.dsn(database))
    wanted = {
        name: int(sourced.value) for name, sourced in resilient_defaults("resilient").items() if name in found
    }
    assert found == wanted
    observer = Observer(server, database)
    assert (
        observer.one(
            "SELECT application_name FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        == "procrastinate"
    )
    assert ours.config.spec.connect_timeout == 10
    ours.close()


@pytest.mark.parametrize("kind", KINDS)
def test_libpqs_defaults_are_the_kernels(kind, server, database):
    found, ours = on_the_socket(kind, server.dsn(database), defaults="libpq")
    ours.close()
    with socket.socket() as fresh:
        kernels = {
            name: fresh.getsockopt(level, getattr(socket, option))
            for name, (level, option) in ON_THE_SOCKET.items()
        }
    assert found == {**kernels, "keepalives": 1}  # which libpq turns on
    assert ours.config.spec.connect_timeout is None


@pytest.mark.parametrize("kind", KINDS)
def test_configured_keywords_override_the_resilient_defaults(kind, server, database):
    found, ours = on_the_socket(
        kind, server.dsn(database), connection={"keepalives_idle": "42", "tcp_user_timeout": "7000"}
    )
    ours.close()
    assert (found["keepalives_idle"], found["tcp_user_timeout"]) == (42, 7000)
