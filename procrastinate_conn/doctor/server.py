"""The server itself: version, database and role, primary or standby, and its clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg

from procrastinate_conn.doctor import session_settings
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, milliseconds, passed, warned

CLOCK_TOLERANCE = 1.0
"""Seconds that clocks may differ: a job is due by the server's clock, and scheduled by the application's."""


def check_identity(context: HostContext) -> Iterator[Result]:
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


def check_role(context: HostContext) -> Iterator[Result]:
    """Query whether the server is a primary that accepts writes."""
    [(in_recovery, read_only, source)] = context.rows(
        "SELECT pg_is_in_recovery(), setting = 'on', source FROM pg_settings"
        " WHERE name = 'default_transaction_read_only'"
    )
    value = {"in_recovery": in_recovery, "read_only": in_recovery or read_only}
    if not in_recovery and not read_only:
        yield passed("role", "primary, read-write", value=value)
        return
    state = "standby, read-only" if in_recovery else "primary, but default_transaction_read_only is on"
    message = f"{state}: no job can be stored there"
    target = context.config.spec.target_session_attrs
    is_skipped = target == "read-write" or (in_recovery and target == "primary")
    if is_skipped and context.is_only_host:
        message = f"{state}, and target_session_attrs={target}"
        yield failed("role", message, "add the primary: there is no other host", value=value)
    elif is_skipped:
        yield passed("role", f"{state}; skipped by target_session_attrs={target}", value=value)
    elif not in_recovery:
        hint = session_settings.hint(context, "default_transaction_read_only", source, "off")
        yield failed("role", message, hint, value=value)
    elif context.is_only_host:
        yield failed("role", message, "connect to the primary", value=value)
    else:
        hint = "set PROCRASTINATE_CONN_CONNECTION__TARGET_SESSION_ATTRS=read-write"
        yield warned("role", message, hint, value=value)


def check_clock(context: HostContext) -> Iterator[Result]:
    """Compare the server's clock with this machine's, over the fastest of three round trips."""
    round_trip, ahead = min(_compare_clocks(context.session) for _ in range(3))
    value = {"seconds_ahead": round(ahead, 3), "round_trip_milliseconds": milliseconds(round_trip)}
    measured = f"round trip {milliseconds(round_trip)} ms"
    if abs(ahead) <= CLOCK_TOLERANCE + round_trip / 2:
        message = f"within {CLOCK_TOLERANCE:g} s of this machine's ({measured})"
        yield passed("clock", message, value=value)
        return
    direction = "ahead of" if ahead > 0 else "behind"
    message = (
        f"{abs(ahead):.1f} s {direction} this machine's ({measured}): scheduled jobs run at the wrong time"
    )
    yield warned("clock", message, "synchronize both machines with NTP", value=value)


def _compare_clocks(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    """Return the duration of a round trip, and how far the server's clock is ahead, in seconds."""
    before = time.time()
    [(server,)] = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()
    after = time.time()
    return after - before, server - (before + after) / 2
