"""Whether the server takes writes: a primary, or a standby."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, passed, warned


def examine(patient: Patient) -> Iterator[Result]:
    """Ask whether it is in recovery, and whether transactions may write."""
    [(in_recovery, read_only)] = patient.rows(
        "SELECT pg_is_in_recovery(), setting = 'on' FROM pg_settings"
        " WHERE name = 'default_transaction_read_only'"
    )
    target = patient.config.spec.target_session_attrs or "any"
    value = {"in_recovery": in_recovery, "read_only": in_recovery or read_only}
    if not in_recovery and not read_only:
        yield passed("role", "primary, read-write", value=value)
        return
    what = "standby, read-only" if in_recovery else "primary, but default_transaction_read_only is on"
    if target == "read-write" or (in_recovery and target == "primary"):
        if patient.alone:
            hint = "name the primary too: there is no other host"
            yield failed("role", f"{what}, and target_session_attrs={target}", hint, value=value)
        else:
            yield passed("role", f"{what}; passed over by target_session_attrs={target}", value=value)
        return
    message = f"{what}: no job can be stored there"
    if patient.alone and in_recovery:
        yield failed("role", message, "connect to the primary", value=value)
    elif patient.alone:
        yield failed("role", message, "SET default_transaction_read_only = off for the role", value=value)
    else:
        yield warned("role", message, "state target_session_attrs=read-write", value=value)
