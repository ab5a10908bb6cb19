"""The password file that libpq reads at every connection, for a spec without a password."""

from __future__ import annotations

from pathlib import Path

from procrastinate_conn.artifacts import Artifact
from procrastinate_conn.connection.hosts import Host, hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file


def validate_password_file(spec: ConnectionSpec) -> list[Problem]:
    """Return why libpq ignores the password file that it would read, if it does."""
    if spec.passfile is None or spec.password is not None:
        return []
    origin = spec.origins.get("passfile")
    if origin is not None and origin.kind is LIBPQ_DEFAULT:
        origin = None
    return list(password_file.validate_file(Path(spec.passfile), origin))


def password_line(spec: ConnectionSpec, host: Host | None = None) -> Origin | None:
    """Return the line whose password libpq will send to a host, by default the first one."""
    login = _login(spec, host or hosts(spec.parameters)[0])
    return password_file.find_line(Path(spec.passfile), login) if spec.passfile and login else None


def find_password_artifact(spec: ConnectionSpec, host: Host) -> tuple[Origin, Artifact] | None:
    """Return that line, and what its password has that does not belong to it; None if it has nothing."""
    login = _login(spec, host)
    if spec.passfile is None or login is None:
        return None
    return password_file.find_password_artifact(Path(spec.passfile), login)


def find_deceptive_login(spec: ConnectionSpec, host: Host) -> tuple[Origin, Artifact] | None:
    """Return the line that would be for a host if it were what it looks like, and what it has instead."""
    login = _login(spec, host)
    return password_file.find_deceptive_login(Path(spec.passfile), login) if spec.passfile and login else None


def _login(spec: ConnectionSpec, host: Host) -> password_file.Login | None:
    """Return what libpq looks up in the file; None if it has a password."""
    if spec.password is not None or spec.dbname is None or spec.user is None:
        return None
    return host.passfile_name, host.port, spec.dbname, spec.user
