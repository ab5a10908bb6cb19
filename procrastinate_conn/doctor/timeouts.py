"""The server's timeouts, compared with the durations that the pool and procrastinate rely on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.sql import Identifier

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
        yield warned("timeouts", problem, _hint(context, timeout), value={timeout.name: timeout.seconds})
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


_SOURCES = {
    "user": "for the role",
    "database": "for the database",
    "database user": "for the role in this database",
}


def _hint(context: HostContext, timeout: Timeout) -> str:
    if timeout.source == "client":
        return "it is set by `options` of the connection: remove it there"
    source = _SOURCES.get(timeout.source, f"in the server's {timeout.source}")
    session = context.session.info
    role = Identifier(session.user).as_string()
    if timeout.source == "database user":  # which overrides the role's setting
        role += f" IN DATABASE {Identifier(session.dbname).as_string()}"
    return f"it is set {source}; ALTER ROLE {role} SET {timeout.name} = 0 turns it off for the role"
