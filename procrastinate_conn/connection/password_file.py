"""The password file that libpq reads at every connection, for a spec without a password."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from procrastinate_conn.connection.hosts import Host, hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file

Found = TypeVar("Found")


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
    found = look_up(spec, password_file.find_line, (host or hosts(spec.parameters)[0],))
    return found[0] if found else None


def look_up(
    spec: ConnectionSpec,
    find: Callable[[Path, password_file.Login], Found | None],
    among: Sequence[Host] = (),
) -> list[Found]:
    """Return what is found in the file for the login to each host, by default all of them.

    Nothing is found if libpq does not look it up, since it has a password.
    """
    if spec.passfile is None or spec.password is not None or spec.dbname is None or spec.user is None:
        return []
    logins = [(h.passfile_name, h.port, spec.dbname, spec.user) for h in among or hosts(spec.parameters)]
    found = (find(Path(spec.passfile), login) for login in logins)
    return [each for each in found if each is not None]
