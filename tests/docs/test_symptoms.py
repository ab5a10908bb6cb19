"""The errors that the documentation quotes: connectors written by hand raise them, and ours do not."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import procrastinate
import pytest
import trustme
from procrastinate.connector import BaseConnector
from procrastinate.contrib.aiopg import AiopgConnector
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
from psycopg_pool import ConnectionPool

from procrastinate_conn import make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.docs.pages import DOCS
from tests.installed import needs
from tests.tls import TlsProxy

pytestmark = pytest.mark.subprocess

HEADINGS = re.findall(r"^## (.+)$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
UNREACHABLE_HOST = "host=127.0.0.1 port=1"


def defer(connector: BaseConnector) -> None:
    app = procrastinate.App(connector=connector)
    with app.open():
        app.configure_task("work").defer(argument=1)


def exhaust(connector: Any) -> None:
    """Request a second connection while the only one is in use."""
    connector.open()
    try:
        with connector._connection():
            connector.execute_query("SELECT 1")
    finally:
        connector.close()


def defer_with_short_timeout(connector: Any) -> None:
    """Defer on a pool with a hundredth of procrastinate's timeout of 30 s."""
    wait = ConnectionPool.wait
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConnectionPool, "wait", lambda pool, timeout: wait(pool, timeout / 100))
        defer(connector)


BY_HAND: dict[str, Callable[[str], None]] = {
    "pool initialization incomplete after": lambda _: defer_with_short_timeout(
        procrastinate.SyncPsycopgConnector(conninfo=UNREACHABLE_HOST)
    ),
    "connection pool exhausted": lambda dsn: exhaust(Psycopg2Connector(dsn=dsn, minconn=1, maxconn=1)),
    "Can't load plugin: sqlalchemy.dialects:postgres": lambda _: defer(
        SQLAlchemyPsycopg2Connector(dsn="postgres://app@localhost/jobs")
    ),
    "Could not parse SQLAlchemy URL from given URL string": lambda dsn: defer(
        SQLAlchemyPsycopg2Connector(dsn=dsn)
    ),
    "invalid literal for int()": lambda _: defer(
        SQLAlchemyPsycopg2Connector(dsn="postgresql://a:1,b:2/jobs")
    ),
    "cannot adapt type 'Json'": lambda dsn: defer(
        SQLAlchemyPsycopg2Connector(dsn=f"postgresql://?{dsn.replace(' ', '&')}")
    ),
    "got multiple values for keyword argument 'check'": lambda dsn: defer(
        procrastinate.SyncPsycopgConnector(conninfo=dsn, check=ConnectionPool.check_connection)
    ),
    'invalid connection option "minsize"': lambda dsn: defer(AiopgConnector(dsn=dsn, minsize=1)),
    "A synchronous connector was used, but the operation": lambda dsn: procrastinate.App(
        connector=procrastinate.SyncPsycopgConnector(conninfo=dsn)
    ).run_worker(wait=False),
}


@pytest.mark.parametrize("symptom", BY_HAND)
def test_connector_written_by_hand_raises_the_quoted_error(
    symptom: str, server: EmbeddedPostgres, database: str
) -> None:
    if "Json" in symptom and version("SQLAlchemy") < "2.1":
        pytest.skip("psycopg2 is SQLAlchemy 2.0's default")
    if "given URL" in symptom:
        needs("SQLAlchemy>=2.0.44")  # older ones quote the URL, with its password
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the messages of all causes are compared below
        BY_HAND[symptom](server.dsn(database))
    messages, error = [], caught.value
    while error is not None:
        messages.append(str(error))
        error = error.__cause__
    assert any(symptom in message for message in messages), messages
    assert any(symptom in heading for heading in HEADINGS)


def test_importing_procrastinate_without_libpq_raises_the_quoted_error() -> None:
    script = (
        "import ctypes.util, sys\n"
        "sys.modules.update(psycopg_c=None, psycopg_binary=None)\n"
        "ctypes.util.find_library = lambda name: None\n"
        "import procrastinate"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "ImportError: no pq wrapper available" in done.stderr
    assert "no pq wrapper available" in HEADINGS


@pytest.mark.parametrize("driver", ["sync-psycopg", "psycopg2"])
def test_ssl_cert_file_provides_the_authorities_of_sslrootcert_system(
    driver: str, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """Connect in another process each time, since OpenSSL reads the variable once."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authorities.pem")
    with TlsProxy(server.host, server.port) as proxy:
        proxy.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(proxy.context)
        proxy.handle_error = lambda *_: None  # the client ends the handshake
        address = f"host=localhost hostaddr=127.0.0.1 port={proxy.port} user={server.user} dbname=postgres"
        dsn = f"{address} sslmode=verify-full sslrootcert=system gssencmode=disable"
        script = (
            "from procrastinate_conn import make_connector\n"
            f"make_connector({driver!r}, dsn={dsn!r}, pool={{'min_size': 1, 'timeout': 3}}).open()"
        )

        def connect(**variables: str) -> str:
            return subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            ).stderr

        assert "certificate verify failed" in connect()
        assert connect(SSL_CERT_FILE=str(tmp_path / "authorities.pem")) == ""
    assert "certificate verify failed" in HEADINGS


OURS: dict[str, Callable[[str], BaseConnector]] = {
    "postgres://": lambda dsn: ours("sqlalchemy-psycopg2", dsn=url(dsn, "postgres")),
    "keyword/value string": lambda dsn: ours("sqlalchemy-psycopg2", dsn=dsn),
    "postgresql://": lambda dsn: ours("sqlalchemy-psycopg2", dsn=url(dsn, "postgresql")),
    "check": lambda dsn: ours("sync-psycopg", dsn=dsn, pool={"check": ConnectionPool.check_connection}),
    "aiopg used synchronously": lambda dsn: ours("aiopg", dsn=dsn, pool={"min_size": 1}),
}


@pytest.mark.parametrize("case", OURS)
def test_our_connector_defers_with_settings_that_fail_by_hand(
    case: str, server: EmbeddedPostgres, database: str
) -> None:
    defer(OURS[case](server.dsn(database)))
    with server.connect(database) as connection:
        assert connection.execute("SELECT args FROM procrastinate_jobs").fetchall() == [({"argument": 1},)]


def ours(kind: str, **arguments: Any) -> BaseConnector:
    return make_connector(kind, env_file=None, **arguments)


def url(dsn: str, scheme: str) -> str:
    return f"{scheme}://?{dsn.replace(' ', '&')}"
