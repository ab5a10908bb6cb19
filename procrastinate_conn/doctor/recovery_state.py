"""Whether the server accepts writes: a primary, or a standby."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned


def run(context: HostContext) -> Iterator[Result]:
    """Query whether the server is in recovery, and whether transactions may write."""
    [(in_recovery, read_only)] = context.rows(
        "SELECT pg_is_in_recovery(), setting = 'on' FROM pg_settings"
        " WHERE name = 'default_transaction_read_only'"
    )
    target = context.config.spec.target_session_attrs or "any"
    value = {"in_recovery": in_recovery, "read_only": in_recovery or read_only}
    if not in_recovery and not read_only:
        yield passed("role", "primary, read-write", value=value)
        return
    state = "standby, read-only" if in_recovery else "primary, but default_transaction_read_only is on"
    if target == "read-write" or (in_recovery and target == "primary"):
        if context.is_only_host:
            message = f"{state}, and target_session_attrs={target}"
            yield failed("role", message, "add the primary: there is no other host", value=value)
        else:
            yield passed("role", f"{state}; skipped by target_session_attrs={target}", value=value)
        return
    message = f"{state}: no job can be stored there"
    if not context.is_only_host:
        yield warned("role", message, "set target_session_attrs=read-write", value=value)
    elif in_recovery:
        yield failed("role", message, "connect to the primary", value=value)
    else:
        yield failed("role", message, "SET default_transaction_read_only = off for the role", value=value)
