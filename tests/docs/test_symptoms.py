"""The symptoms that the documentation quotes are what connectors written by hand say, and ours do not."""

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


def crowd(connector: Any) -> None:
    """Ask for a second connection while the only one is in use."""
    connector.open()
    try:
        with connector._connection():
            connector.execute_query("SELECT 1")
    finally:
        connector.close()


def impatiently(connector: Any) -> None:
    """Defer, with a pool that gives up sooner than after procrastinate's 30 s."""
    give_up = ConnectionPool.wait
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConnectionPool, "wait", lambda pool, timeout: give_up(pool, timeout / 100))
        defer(connector)


BY_HAND: dict[str, Callable[[str], None]] = {
    "pool initialization incomplete after": lambda _: impatiently(
        procrastinate.SyncPsycopgConnector(conninfo=UNREACHABLE_HOST)
    ),
    "connection pool exhausted": lambda dsn: crowd(Psycopg2Connector(dsn=dsn, minconn=1, maxconn=1)),
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
def test_a_connector_written_by_hand_says_what_a_heading_quotes(
    symptom: str, server: EmbeddedPostgres, database: str
) -> None:
    if "Json" in symptom and version("SQLAlchemy") < "2.1":
        pytest.skip("SQLAlchemy 2.0 takes psycopg2 by itself")
    if "given URL" in symptom:
        needs("SQLAlchemy>=2.0.44")  # older ones quote the URL, with its password
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what it says is looked at
        BY_HAND[symptom](server.dsn(database))
    said, error = [], caught.value
    while error is not None:
        said.append(str(error))
        error = error.__cause__
    assert any(symptom in text for text in said), said
    assert any(symptom in heading for heading in HEADINGS)


def test_procrastinate_cannot_be_imported_without_a_libpq() -> None:
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
def test_authorities_of_the_system_are_found_where_ssl_cert_file_says(
    driver: str, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """A process of its own, since OpenSSL looks at the variable once."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authorities.pem")
    with TlsProxy(server.host, server.port) as proxy:
        proxy.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(proxy.context)
        proxy.handle_error = lambda *_: None  # of the client that hangs up
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
def test_ours_defers_where_the_one_written_by_hand_failed(
    case: str, server: EmbeddedPostgres, database: str
) -> None:
    defer(OURS[case](server.dsn(database)))
    with server.connect(database) as connection:
        assert connection.execute("SELECT args FROM procrastinate_jobs").fetchall() == [({"argument": 1},)]


def ours(kind: str, **arguments: Any) -> BaseConnector:
    return make_connector(kind, env_file=None, **arguments)


def url(dsn: str, scheme: str) -> str:
    return f"{scheme}://?{dsn.replace(' ', '&')}"
