"""Who we are there, and what the server is."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, passed


def examine(patient: Patient) -> Iterator[Result]:
    """Ask for the roles, the database and the version."""
    [(session_user, current_user, database, version)] = patient.rows(
        "SELECT session_user::text, current_user::text, current_database()::text,"
        " current_setting('server_version')"
    )
    who = current_user if session_user == current_user else f"{session_user} acting as {current_user}"
    yield passed(
        "identity",
        f"{who} on {database}, PostgreSQL {version}",
        value={
            "session_user": session_user,
            "current_user": current_user,
            "database": database,
            "server_version": version,
        },
    )
