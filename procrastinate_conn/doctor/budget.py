"""Whether the server has room for the connections of all the application's processes."""

from __future__ import annotations

from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned
from procrastinate_conn.problems import counted

_LIMITS = """
    WITH clients AS (
        SELECT usesysid, datid, application_name FROM pg_stat_activity
        WHERE usesysid IS NOT NULL AND datid IS NOT NULL
            AND application_name IS DISTINCT FROM current_setting('application_name') -- the doctor's own
    )
    SELECT current_setting('max_connections')::int,
        current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int,
        rolconnlimit, datconnlimit,
        (SELECT count(*) FROM clients),
        (SELECT count(*) FROM clients WHERE usesysid = pg_roles.oid),
        (SELECT count(*) FROM clients WHERE datid = pg_database.oid),
        (
            SELECT count(*) FROM clients WHERE usesysid = pg_roles.oid AND datid = pg_database.oid
                AND application_name <> '' AND application_name = %(name)s::name
        ),
        quote_ident(rolname), quote_ident(datname)
    FROM pg_roles, pg_database
    WHERE rolname = session_user AND datname = current_database()
"""


class ConnectionLimit(NamedTuple):
    """One of the server's limits, and how to raise it."""

    name: str
    allowed: int  # connections for clients like the application
    taken: int  # those that other clients have now
    remedy: str

    @property
    def available(self) -> int:
        """Connections that the application has now, or could have."""
        return max(0, self.allowed - self.taken)


def run(context: HostContext) -> Result:
    """Compare the connections that the processes may open with the limits, and with what is available.

    Sessions that the application already has count as available: it may well be running.
    """
    if context.pooler != "none":
        return passed(
            "the pooler's limits apply: max_client_conn for us, default_pool_size towards the server"
        )
    limits, own, name = _query_limits(context)
    fullest = min(limits, key=lambda limit: limit.available)
    headroom = f"{fullest.available} of {fullest.allowed} are free now"
    if own:
        headroom += f" or the application's own ({fullest.name}; {counted(own, 'session')} named {name})"
    else:
        headroom += f" ({fullest.name})"
    only_listens = context.main is not None
    max_size = 0 if only_listens else context.config.pool.max_size
    if not max_size and not only_listens:
        message = f"a null pool without max_size opens a connection for every call; {headroom}"
        return warned(message, "set pool.max_size")
    needed = context.processes * (max_size + context.listens)
    value = {
        "needed": needed,
        "processes": context.processes,
        "max_size": max_size,
        "listen": int(context.listens),
        "own": own,
        "limits": {limit.name: {"allowed": limit.allowed, "taken": limit.taken} for limit in limits},
    }
    need = "1 process opens" if context.processes == 1 else f"{context.processes} processes open"
    if only_listens:
        need += f" {counted(needed, 'connection')} to LISTEN"
    else:
        listen = " + 1 to LISTEN" if context.listens else ""
        need += f" up to {needed} connections (max_size {max_size}{listen})"
    hint = "lower pool.max_size or the number of processes, or {}"
    lowest = min(limits, key=lambda limit: limit.allowed)
    if needed > lowest.allowed:
        message = f"{need}, and {lowest.name} allows {lowest.allowed}"
        return failed(message, hint.format(lowest.remedy), value=value)
    if needed > fullest.available:
        return warned(f"{need}, and {headroom}", hint.format(fullest.remedy), value=value)
    return passed(f"{need}; {headroom}", value=value)


def _query_limits(context: HostContext) -> tuple[list[ConnectionLimit], int, str]:
    """Return the limits in force, and the application's sessions: of its role, database and name; the name.

    The server reports -1 if there is no limit.
    """
    spec = context.config.spec
    name = libpq.parse(spec.conninfo(libpq.keywords())).get("application_name", "")
    [(maximum, reserved, of_role, of_database, clients, ours, here, own, role, database)] = context.rows(
        _LIMITS, name=name
    )
    alter_database = f"ALTER DATABASE {database} CONNECTION LIMIT ..."
    limits = [
        ConnectionLimit("max_connections", maximum - reserved, clients - own, "raise max_connections"),
        ConnectionLimit(f"role {role}", of_role, ours - own, f"ALTER ROLE {role} CONNECTION LIMIT ..."),
        ConnectionLimit(f"database {database}", of_database, here - own, alter_database),
    ]
    return [limit for limit in limits if limit.allowed >= 0], own, name
