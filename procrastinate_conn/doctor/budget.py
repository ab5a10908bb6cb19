"""Whether the server has room for the connections of all the application's processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from procrastinate_conn import libpq
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, passed, warned

_ROOM = """
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
_HINT = "lower pool.max_size or the number of processes, or {}"


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
        """Connections that the application has now, or could have."""
        return max(0, self.allowed - self.taken)


@dataclass(frozen=True, slots=True)
class Room:
    """What the server has room for.

    Parameters
    ----------
    limits
        The limits that are in force.
    own
        The application's sessions now: those of its role, in its database, that have its name.
    name
        What its sessions are called.
    """

    limits: list[Limit]
    own: int
    name: str

    def tightest(self) -> Limit:
        """Return the limit that allows the least."""
        return min(self.limits, key=lambda limit: limit.allowed)

    def fullest(self) -> Limit:
        """Return the limit that leaves the least."""
        return min(self.limits, key=lambda limit: limit.left)

    def __str__(self) -> str:
        """Read like ``12 of 97 are free now (max_connections)``."""
        limit = self.fullest()
        if not self.own:
            return f"{limit.left} of {limit.allowed} are free now ({limit.name})"
        own = "1 session is" if self.own == 1 else f"{self.own} sessions are"
        return (
            f"{limit.left} of {limit.allowed} are free now or the application's own"
            f" ({limit.name}; {own} called {self.name})"
        )


def examine(patient: Patient) -> Iterator[Result]:
    """Compare what the processes may open at most with what the server allows, and with what is left.

    Sessions that the application has already are no others': it may well be running.
    """
    pool = patient.config.pool
    if patient.pooler != "none":
        message = "the pooler's limits count: max_client_conn for us, default_pool_size towards the server"
        yield passed("budget", message)
        return
    room = _ask(patient)
    if pool.null and not pool.max_size:
        message = f"a null pool without max_size opens a connection for every call; {room}"
        yield warned("budget", message, "state pool.max_size")
        return
    yield _judge(patient, room)


def _judge(patient: Patient, room: Room) -> Result:
    max_size = patient.config.pool.max_size
    needed = patient.processes * (max_size + patient.listens)
    value = {
        "needed": needed,
        "processes": patient.processes,
        "max_size": max_size,
        "listen": int(patient.listens),
        "own": room.own,
        "limits": {limit.name: {"allowed": limit.allowed, "taken": limit.taken} for limit in room.limits},
    }
    processes = "1 process opens" if patient.processes == 1 else f"{patient.processes} processes open"
    listen = " + 1 to LISTEN" if patient.listens else ""
    need = f"{processes} up to {needed} connections (max_size {max_size}{listen})"
    tight, full = room.tightest(), room.fullest()
    if needed > tight.allowed:
        message = f"{need}, and {tight.name} allows {tight.allowed}"
        return failed("budget", message, _HINT.format(tight.raise_it), value=value)
    if needed > full.left:
        return warned("budget", f"{need}, and {room}", _HINT.format(full.raise_it), value=value)
    return passed("budget", f"{need}; {room}", value=value)


def _ask(patient: Patient) -> Room:
    """Ask for the limits that are in force; -1 means that there is none."""
    name = libpq.parse(patient.config.spec.conninfo(libpq.keywords())).get("application_name", "")
    [(maximum, reserved, of_role, of_database, clients, ours, here, own, role, database)] = patient.rows(
        _ROOM, name=name
    )
    raise_it = "raise the server's max_connections"
    limits = [Limit("max_connections", maximum - reserved, clients - own, raise_it)]
    if of_role >= 0:
        raise_it = f"ALTER ROLE {role} CONNECTION LIMIT ..."
        limits.append(Limit(f"role {role}", of_role, ours - own, raise_it))
    if of_database >= 0:
        raise_it = f"ALTER DATABASE {database} CONNECTION LIMIT ..."
        limits.append(Limit(f"database {database}", of_database, here - own, raise_it))
    return Room(limits, own, name)
