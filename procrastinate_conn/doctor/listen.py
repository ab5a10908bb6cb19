"""Whether NOTIFY is delivered, by which workers learn of jobs at once."""

from __future__ import annotations

import secrets
from contextlib import closing
from time import monotonic

from psycopg.sql import SQL, Identifier

from procrastinate_conn.doctor.host_context import QUERY_TIMEOUT, HostContext
from procrastinate_conn.doctor.report import Result, failed, milliseconds, passed

_HINT = (
    "set PROCRASTINATE_CONN_LISTEN__HOST and PROCRASTINATE_CONN_LISTEN__PORT to the server itself, or"
    " PROCRASTINATE_CONN_LISTEN=off to let workers poll"
)


def run(context: HostContext) -> Result | None:
    """Listen on a channel of our own, and notify it from a session in which jobs are deferred."""
    if not context.config.listens:
        return passed("workers poll: listen is off", value={"delivered": None})
    if context.config.listening is not None and context.works_jobs:
        return passed("workers listen on another connection", value={"delivered": None})
    if context.pooler == "transaction":
        return _undelivered(context, "a pooler in transaction mode delivers no NOTIFY")
    if context.rows("SELECT pg_is_in_recovery()") == [(True,)]:
        return None  # LISTEN fails on a standby
    if (seconds := _delivery_time(context)) is not None:
        value = {"delivered": True, "milliseconds": milliseconds(seconds)}
        return passed(f"NOTIFY is delivered ({milliseconds(seconds)} ms)", value=value)
    message = f"NOTIFY was not delivered within {QUERY_TIMEOUT:g} s"
    if context.pooler != "none":
        message += "; the pooler in between seems to be in transaction mode, or to have no second session"
    return _undelivered(context, message)


def _delivery_time(context: HostContext) -> float | None:
    """Return the seconds until a notification arrives; None if it does not."""
    name = f"procrastinate_conn_doctor_{secrets.token_hex(8)}"
    channel = Identifier(name)
    listener = context.session
    listener.execute(SQL("LISTEN {}").format(channel))
    try:
        with closing(context.connect(context.main)) as notifier:
            started = monotonic()
            # Sent without waiting for the result: a pooler may have no session for it.
            notifier.pgconn.send_query(SQL("NOTIFY {}").format(channel).as_bytes(notifier))
            notifier.pgconn.flush()
            for notification in listener.notifies(timeout=context.time_left(QUERY_TIMEOUT)):
                if notification.channel == name:
                    return monotonic() - started
        return None
    finally:
        listener.execute(SQL("UNLISTEN {}").format(channel))


def _undelivered(context: HostContext, message: str) -> Result:
    value = {"delivered": False}
    if context.main is not None and context.pooler == "none":
        message += ": jobs are deferred on another server, or in another database"
        return failed(message, "correct PROCRASTINATE_CONN_LISTEN", value=value)
    if context.listens:
        return failed(f"{message}: workers learn of jobs only by polling", _HINT, value=value)
    return passed(f"{message}; {context.config.kind} does not listen", value=value)
