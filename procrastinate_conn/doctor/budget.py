"""Whether the server has room for the connections of all the application's processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from procrastinate_conn.doctor.patient import Patient
from procrastinate_conn.doctor.result import Result, failed, passed, warned

_ROOM = """
    WITH clients AS (
        SELECT usesysid, datid FROM pg_stat_activity
        WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND pid <> pg_backend_pid()
    )
    SELECT current_setting('max_connections')::int,
        current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int,
        rolconnlimit, datconnlimit,
        (SELECT count(*) FROM clients),
        (SELECT count(*) FROM clients WHERE usesysid = pg_roles.oid),
        (SELECT count(*) FROM clients WHERE datid = pg_database.oid),
        quote_ident(rolname), quote_ident(datname)
    FROM pg_roles, pg_database
    WHERE rolname = session_user AND datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """One of the server's limits.

    Parameters
    ----------
    name
        What limits.
    allowed
        Connections for clients like us.
    taken
        Those of them that others have now.
    raise_it
        How it is raised.
    """

    name: str
    allowed: int
    taken: int
    raise_it: str

    @property
    def left(self) -> int:
        """Connections that are free now."""
        return max(0, self.allowed - self.taken)


def examine(patient: Patient) -> Iterator[Result]:
    """Compare what the processes may open at most with what the server allows, and with what is free."""
    pool = patient.blueprint.pool
    if patient.pooler != "none":
        message = "the pooler's limits count: max_client_conn for us, default_pool_size towards the server"
        yield passed("budget", message)
        return
    limits = _limits(patient)
    if pool.null and not pool.max_size:
        yield warned(
            "budget",
            f"a null pool without max_size opens a connection for every call; {_left(limits)}",
            "state pool.max_size",
        )
        return
    each = pool.max_size + patient.listens
    needed = patient.processes * each
    value = {
        "needed": needed,
        "processes": patient.processes,
        "max_size": pool.max_size,
        "listen": int(patient.listens),
        "limits": {limit.name: {"allowed": limit.allowed, "taken": limit.taken} for limit in limits},
    }
    processes = "1 process opens" if patient.processes == 1 else f"{patient.processes} processes open"
    listen = " + 1 to LISTEN" if patient.listens else ""
    need = f"{processes} up to {needed} connections (max_size {pool.max_size}{listen})"
    tight = min(limits, key=lambda limit: limit.allowed - needed)
    full = min(limits, key=lambda limit: limit.left - needed)
    hint = "lower pool.max_size or the number of processes, or {}"
    if needed > tight.allowed:
        message = f"{need}, and {tight.name} allows {tight.allowed}"
        yield failed("budget", message, hint.format(tight.raise_it), value=value)
    elif needed > full.left:
        message = f"{need}, and {full.left} of {full.allowed} are free now ({full.name})"
        yield warned("budget", message, hint.format(full.raise_it), value=value)
    else:
        yield passed("budget", f"{need}; {_left(limits)}", value=value)


def _left(limits: list[Limit]) -> str:
    least = min(limits, key=lambda limit: limit.left)
    return f"{least.left} of {least.allowed} are free now ({least.name})"


def _limits(patient: Patient) -> list[Limit]:
    """Ask for the limits that are in force; -1 means that there is none."""
    [(maximum, reserved, of_role, of_database, clients, ours, here, role, database)] = patient.rows(_ROOM)
    limits = [Limit("max_connections", maximum - reserved, clients, "raise the server's max_connections")]
    if of_role >= 0:
        limits.append(Limit(f"role {role}", of_role, ours, f"ALTER ROLE {role} CONNECTION LIMIT ..."))
    if of_database >= 0:
        hint = f"ALTER DATABASE {database} CONNECTION LIMIT ..."
        limits.append(Limit(f"database {database}", of_database, here, hint))
    return limits
