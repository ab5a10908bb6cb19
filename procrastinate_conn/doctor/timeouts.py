"""The server's timeouts, compared with the durations that the pool and procrastinate rely on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from procrastinate_conn.doctor import session_settings
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, passed, warned

MIN_TIMEOUT = 5.0
"""Seconds that a query of procrastinate's may take on a server under load."""

NAMES = (
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
)


@dataclass(frozen=True, slots=True)
class Timeout:
    """A timeout of this session that is on."""

    name: str
    seconds: float
    source: str  # as in pg_settings


def run(context: HostContext) -> Iterator[Result]:
    """Check each timeout that is on, with its value in the session, wherever it is set."""
    rows = context.session.execute(  # not `context.rows`, whose transaction has a timeout of its own
        "SELECT name, setting::float8 / 1000, source FROM pg_settings"
        " WHERE name = ANY(%s) AND setting::float8 > 0 ORDER BY name",
        [list(NAMES)],
    )
    timeouts = [Timeout(*row) for row in rows.fetchall()]
    problems = [(timeout, problem) for timeout in timeouts if (problem := _problem(context, timeout))]
    for timeout, problem in problems:
        hint = session_settings.hint(context, timeout.name, timeout.source, "0")
        yield warned("timeouts", problem, hint, value={timeout.name: timeout.seconds})
    if not problems:
        message = ", ".join(f"{timeout.name} {timeout.seconds:g} s" for timeout in timeouts) or "none is set"
        yield passed("timeouts", message, value={timeout.name: timeout.seconds for timeout in timeouts})


def _problem(context: HostContext, timeout: Timeout) -> str | None:
    """Return what a timeout breaks; None if it is long enough."""
    if timeout.name == "idle_session_timeout":
        return _idle_session_problem(context, timeout)
    if timeout.seconds >= MIN_TIMEOUT:
        return None
    if timeout.name == "idle_in_transaction_session_timeout":  # procrastinate's queries are no transactions
        return f"{timeout.name} ends sessions after {timeout.seconds:g} s, also while a caller uses them"
    return f"{timeout.name} ends queries after {timeout.seconds:g} s: jobs are not fetched under load"


def _idle_session_problem(context: HostContext, timeout: Timeout) -> str | None:
    if context.listens:
        return f"{timeout.name} ends the LISTEN connection after {timeout.seconds:g} s without a job"
    max_idle = context.config.pool.effective("max_idle")
    if timeout.seconds >= max_idle:
        return None
    ends = f"{timeout.name} ends connections after {timeout.seconds:g} s"
    return f"{ends}, before the pool does (max_idle {max_idle:g} s)"
