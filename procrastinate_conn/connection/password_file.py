"""The password file that libpq reads at every connection, for a spec without a password."""

from __future__ import annotations

from pathlib import Path

from procrastinate_conn.connection.hosts import Host, hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file


def validate_password_file(spec: ConnectionSpec) -> list[Problem]:
    """Say why libpq ignores the password file that it would read, if it does."""
    if spec.passfile is None or spec.password is not None:
        return []
    origin = spec.origins.get("passfile")
    named = origin if origin is not None and origin.kind is not LIBPQ_DEFAULT else None
    return list(password_file.judge(Path(spec.passfile), named))


def password_line(spec: ConnectionSpec, host: Host | None = None) -> Origin | None:
    """Return the line whose password libpq will send, if there is one.

    Parameters
    ----------
    spec
        What libpq is told.
    host
        One of its hosts, each of which may have a password of its own; by default the first.
    """
    if spec.password is not None or spec.passfile is None or spec.dbname is None or spec.user is None:
        return None
    tried = host or hosts(spec.parameters)[0]
    login = (tried.known_as, tried.port, spec.dbname, spec.user)
    return password_file.find_line(Path(spec.passfile), login)
