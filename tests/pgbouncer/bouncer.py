"""The real PgBouncer, in transaction mode, before a server of the tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

import psycopg

from procrastinate_conn.demo.postgres import AS_ROOT, SERVER_USER, EmbeddedPostgres, free_port
from tests.servers import wait_until

COMMAND = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

SERVER_CONNECTIONS = 2
"""Fewer than the clients of a test: they have to share."""


def version() -> tuple[int, ...]:
    """Return the version of the installed PgBouncer; nothing where there is none."""
    if COMMAND is None:
        return ()
    told = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", told.splitlines()[0]))


class PgBouncer:
    """PgBouncer as a process of its own.

    Parameters
    ----------
    server
        What it lends the connections of; its directory holds PgBouncer's files too.
    """

    def __init__(self, server: EmbeddedPostgres) -> None:
        directory = Path(mkdtemp(prefix="pgbouncer-", dir=server.directory))
        self.port = free_port()
        self.host = "127.0.0.1"
        self.user = server.user
        self.log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._configuration = directory / "pgbouncer.ini"
        users = directory / "users"
        users.write_text(f'"{server.user}" ""\n')
        if AS_ROOT:  # which PgBouncer refuses to run as
            shutil.chown(directory, SERVER_USER)
        self._configuration.write_text(f"""
            [databases]
            * = host={server.host} port={server.port}
            [pgbouncer]
            listen_addr = {self.host}
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = trust
            auth_file = {users}
            admin_users = {server.user}
            logfile = {self.log}
            pool_mode = transaction
            default_pool_size = {SERVER_CONNECTIONS}
            {f"user = {SERVER_USER}" if AS_ROOT else ""}
        """)

    def parameters(self, dbname: str) -> dict[str, str]:
        """Return libpq's keywords for a connection through it."""
        return {"host": self.host, "port": str(self.port), "user": self.user, "dbname": dbname}

    def transactions(self, dbname: str) -> int:
        """Return how many transactions of a database it has passed on, asked on its own console."""
        console = psycopg.connect(
            **self.parameters("pgbouncer"),
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,  # the console knows the simple protocol alone
        )
        with console:
            rows = console.execute("SHOW STATS").fetchall()
        return next((row[1] for row in rows if row[0] == dbname), 0)

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        self._process = subprocess.Popen([COMMAND, "--quiet", self._configuration])
        wait_until(self._accepts)

    def stop(self) -> None:
        """Stop at once, closing all connections."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            self.transactions("")
        except psycopg.OperationalError:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
