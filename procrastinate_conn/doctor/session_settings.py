"""Where a setting of a session comes from, and how it is changed for the role."""

from __future__ import annotations

from psycopg.sql import Identifier

from procrastinate_conn.doctor.host_context import HostContext

_SOURCES = {
    "user": "for the role",
    "database": "for the database",
    "database user": "for the role in this database",
}


def hint(context: HostContext, name: str, source: str, value: str) -> str:
    """Return how to give a setting another value; the source is that of pg_settings."""
    if source == "client":
        return "it is set by `options` of the connection: remove it there"
    where = _SOURCES.get(source, f"in the server's {source}")
    session = context.session.info
    role = Identifier(session.user).as_string()
    if source == "database user":  # which overrides the role's setting
        role += f" IN DATABASE {Identifier(session.dbname).as_string()}"
    return f"it is set {where}; ALTER ROLE {role} SET {name} = {value} sets it for the role"
