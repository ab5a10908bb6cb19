"""The roles and the database of the session, and the server's version."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, passed


def run(context: HostContext) -> Iterator[Result]:
    """Query the roles, the database and the version."""
    [(session_user, current_user, database, version)] = context.rows(
        "SELECT session_user::text, current_user::text, current_database()::text,"
        " current_setting('server_version')"
    )
    role = current_user if session_user == current_user else f"{session_user} acting as {current_user}"
    value = {
        "session_user": session_user,
        "current_user": current_user,
        "database": database,
        "server_version": version,
    }
    yield passed("identity", f"{role} on {database}, PostgreSQL {version}", value=value)
