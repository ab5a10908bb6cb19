"""A streaming standby of an embedded server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from procrastinate_conn.demo.postgres import AS_ROOT, EmbeddedPostgres


@contextmanager
def standby_of(primary: EmbeddedPostgres, **settings: str) -> Iterator[EmbeddedPostgres]:
    """Copy a server and start the copy as its standby, with further server settings."""
    standby = EmbeddedPostgres(version=primary.version, settings=settings)
    try:
        if AS_ROOT:
            standby._admit_server_user()
        standby._run("pg_basebackup", "-R", "-c", "fast", "-d", primary.dsn(), "-D", standby.data)
        with (standby.data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in standby.settings.items())
        standby.start()
        yield standby
    finally:
        standby.remove()
