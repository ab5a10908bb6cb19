"""The server itself: version, database and role, primary or standby, its clock and its timeouts."""

from __future__ import annotations

import time

from psycopg.sql import Identifier

from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, milliseconds, passed, warned

CLOCK_TOLERANCE = 1.0
"""Seconds that clocks may differ: a job is due by the server's clock, and scheduled by the application's."""

MIN_TIMEOUT = 5.0
"""Seconds that a query of procrastinate's may take on a server under load."""

_SOURCES = {
    "user": "for the role",
    "database": "for the database",
    "database user": "for the role in this database",
}
"""Where a setting is set, by its source in pg_settings."""


def check_identity(context: HostContext) -> Result:
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
    return passed(f"{role} on {database}, PostgreSQL {version}", value=value)


def check_role(context: HostContext) -> Result:
    """Query whether the server is a primary that accepts writes."""
    [(in_recovery, read_only, source)] = context.rows(
        "SELECT pg_is_in_recovery(), setting = 'on', source FROM pg_settings"
        " WHERE name = 'default_transaction_read_only'"
    )
    value = {"in_recovery": in_recovery, "read_only": in_recovery or read_only}
    if not value["read_only"]:
        return passed("primary, read-write", value=value)
    state = "standby, read-only" if in_recovery else "primary, but default_transaction_read_only is on"
    message = f"{state}: no job can be stored there"
    spec = context.config.spec
    target, has_other_hosts = spec.target_session_attrs, len(hosts(spec.parameters)) > 1
    if target == "read-write" or (in_recovery and target == "primary"):
        if has_other_hosts:
            return passed(f"{state}; skipped by target_session_attrs={target}", value=value)
        message = f"{state}, and target_session_attrs={target}"
        return failed(message, "add the primary: there is no other host", value=value)
    if in_recovery and has_other_hosts:
        hint = "set PROCRASTINATE_CONN_CONNECTION__TARGET_SESSION_ATTRS=read-write"
        return warned(message, hint, value=value)
    if in_recovery:
        return failed(message, "connect to the primary", value=value)
    hint = _setting_hint(context, "default_transaction_read_only", source, "off")
    return failed(message, hint, value=value)


def check_clock(context: HostContext) -> Result:
    """Compare the server's clock with this machine's, over the fastest of three round trips."""
    round_trip, ahead = min(_compare_clocks(context) for _ in range(3))
    value = {"seconds_ahead": round(ahead, 3), "round_trip_milliseconds": milliseconds(round_trip)}
    measured = f"round trip {milliseconds(round_trip)} ms"
    if abs(ahead) <= CLOCK_TOLERANCE + round_trip / 2:
        return passed(f"within {CLOCK_TOLERANCE:g} s of this machine's ({measured})", value=value)
    difference = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's ({measured})"
    message = f"{difference}: scheduled jobs run at the wrong time"
    return warned(message, "synchronize both machines with NTP", value=value)


def _compare_clocks(context: HostContext) -> tuple[float, float]:
    """Return the duration of a round trip, and how far the server's clock is ahead, in seconds."""
    before = time.time()
    [(server,)] = context.session.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()
    after = time.time()
    return after - before, server - (before + after) / 2


def check_timeouts(context: HostContext) -> list[Result]:
    """Check each timeout that is on, with its value in the session, wherever it is set."""
    timeouts = context.session.execute(  # not `context.rows`, whose transaction has a timeout of its own
        "SELECT name, setting::float8 / 1000, source FROM pg_settings"
        " WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout',"
        " 'statement_timeout', 'transaction_timeout') AND setting::float8 > 0 ORDER BY name"
    ).fetchall()
    problems = [
        warned(problem, _setting_hint(context, name, source, "0"), value={name: seconds})
        for name, seconds, source in timeouts
        if (problem := _timeout_problem(context, name, seconds))
    ]
    message = ", ".join(f"{name} {seconds:g} s" for name, seconds, _ in timeouts) or "none is set"
    value = {name: seconds for name, seconds, _ in timeouts}
    return problems or [passed(message, value=value)]


def _timeout_problem(context: HostContext, name: str, seconds: float) -> str | None:
    """Return what a timeout breaks; None if it is long enough."""
    if name == "idle_session_timeout":
        if context.listens:
            return f"{name} ends the LISTEN connection after {seconds:g} s without a job"
        if seconds >= (max_idle := context.config.pool.effective("max_idle")):
            return None
        return f"{name} ends connections after {seconds:g} s, before the pool does (max_idle {max_idle:g} s)"
    if seconds >= MIN_TIMEOUT:
        return None
    if name == "idle_in_transaction_session_timeout":  # procrastinate's queries are no transactions
        return f"{name} ends sessions after {seconds:g} s, also while a caller uses them"
    return f"{name} ends queries after {seconds:g} s: jobs are not fetched under load"


def _setting_hint(context: HostContext, name: str, source: str, value: str) -> str:
    """Return how to give a setting another value; the source is that of pg_settings."""
    if source == "client":
        return "it is set by `options` of the connection: remove it there"
    where = _SOURCES.get(source, f"in the server's {source}")
    session = context.session.info
    role = Identifier(session.user).as_string()
    if source == "database user":  # which overrides the role's setting
        role += f" IN DATABASE {Identifier(session.dbname).as_string()}"
    return f"it is set {where}; ALTER ROLE {role} SET {name} = {value} sets it for the role"
