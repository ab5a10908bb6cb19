"""Whether NOTIFY reaches who listens, which is how workers hear of jobs at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from time import monotonic

from psycopg.sql import SQL, Identifier

from procrastinate_conn.doctor.host_context import STEP, Patient
from procrastinate_conn.doctor.pooler import PROFILE
from procrastinate_conn.doctor.result import Result, failed, milliseconds, passed

_HINT = (
    "let workers connect to the server itself, or to a pool in session mode, or let them poll;"
    f" {PROFILE} has both"
)


def examine(patient: Patient) -> Iterator[Result]:
    """Listen on a channel of our own, and notify it from another session."""
    if patient.pooler == "transaction":
        yield _undelivered(patient, "a pooler in transaction mode delivers no NOTIFY")
        return
    if patient.rows("SELECT pg_is_in_recovery()") == [(True,)]:
        return  # nobody can listen on a standby
    seconds = _deliver(patient)
    if seconds is not None:
        value = {"delivered": True, "milliseconds": milliseconds(seconds)}
        yield passed("listen", f"NOTIFY is delivered ({milliseconds(seconds)} ms)", value=value)
        return
    message = f"NOTIFY was not delivered within {STEP / 2:g} s"
    if patient.pooler != "none":
        message += "; the pooler in between seems to be in transaction mode, or to have no second session"
    yield _undelivered(patient, message)


def _deliver(patient: Patient) -> float | None:
    """Return how long a notification takes, in seconds; None if it does not come."""
    name = f"procrastinate_conn_doctor_{secrets.token_hex(8)}"
    channel = Identifier(name)
    listener = patient.session
    listener.execute(SQL("LISTEN {}").format(channel))
    try:
        with closing(patient.connect()) as notifier:
            begun = monotonic()
            # Its answer is not waited for: a pooler may have no session for it.
            notifier.pgconn.send_query(SQL("NOTIFY {}").format(channel).as_bytes(notifier))
            notifier.pgconn.flush()
            for notification in listener.notifies(timeout=patient.within(STEP / 2)):
                if notification.channel == name:
                    return monotonic() - begun
        return None
    finally:
        listener.execute(SQL("UNLISTEN {}").format(channel))


def _undelivered(patient: Patient, message: str) -> Result:
    value = {"delivered": False}
    if patient.listens:
        return failed("listen", f"{message}: workers hear of jobs only by polling", _HINT, value=value)
    return passed("listen", f"{message}; {patient.config.kind} does not listen", value=value)
