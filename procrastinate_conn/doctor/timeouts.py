"""The server's timeouts, against the times that the pool and procrastinate count on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from psycopg.sql import Identifier

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, passed, warned

SHORT = 5.0
"""Seconds that a query of procrastinate's may take on a server under load."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """A timeout of this session.

    Parameters
    ----------
    name
        The server's setting.
    seconds
        Its value; not 0, which means that it is off.
    source
        Where it is set, in the words of ``pg_settings``.
    """

    name: str
    seconds: float
    source: str


def examine(patient: Patient) -> Iterator[Result]:
    """Judge each timeout that is on; the session's own value counts, whoever has set it."""
    rows = patient.session.execute(  # in no transaction with a timeout of its own
        "SELECT name, setting::float8 / 1000, source FROM pg_settings"
        " WHERE name = ANY(%s) AND setting::float8 > 0 ORDER BY name",
        [list(_JUDGES)],
    )
    timeouts = [Timeout(*row) for row in rows.fetchall()]
    value = {timeout.name: timeout.seconds for timeout in timeouts}
    judged = [(timeout, _JUDGES[timeout.name](patient, timeout)) for timeout in timeouts]
    faults = [(timeout, fault) for timeout, fault in judged if fault]
    for timeout, fault in faults:
        yield warned("timeouts", fault, _hint(patient, timeout), value={timeout.name: timeout.seconds})
    if not faults:
        shown = ", ".join(f"{timeout.name} {timeout.seconds:g} s" for timeout in timeouts)
        yield passed("timeouts", shown or "none is set", value=value)


def _idle_session(patient: Patient, timeout: Timeout) -> str | None:
    """Judge the end of idle sessions, among them the one that listens and the ones that the pool keeps."""
    if patient.listens:
        return f"{timeout.name} ends the LISTEN connection after {timeout.seconds:g} s without a job"
    max_idle = float(patient.config.pool.arguments(asynchronous=False).get("max_idle", 600.0))
    if timeout.seconds < max_idle:
        return (
            f"{timeout.name} ends connections after {timeout.seconds:g} s,"
            f" before the pool does (max_idle {max_idle:g} s)"
        )
    return None


def _statement(_patient: Patient, timeout: Timeout) -> str | None:
    """Judge the end of queries."""
    if timeout.seconds < SHORT:
        return f"{timeout.name} ends queries after {timeout.seconds:g} s: jobs are not fetched under load"
    return None


def _in_transaction(_patient: Patient, timeout: Timeout) -> str | None:
    """Judge the end of idle transactions; procrastinate's queries are none, the caller's may be."""
    if timeout.seconds < SHORT:
        return f"{timeout.name} ends sessions after {timeout.seconds:g} s, also those lent to a caller"
    return None


_JUDGES: dict[str, Callable[[Patient, Timeout], str | None]] = {
    "idle_session_timeout": _idle_session,
    "idle_in_transaction_session_timeout": _in_transaction,
    "lock_timeout": _statement,
    "statement_timeout": _statement,
    "transaction_timeout": _statement,
}


def _hint(patient: Patient, timeout: Timeout) -> str:
    if timeout.source == "client":
        return "it is set by `options` of the connection: take it out there"
    where = {
        "user": "for the role",
        "database": "for the database",
        "database user": "for the role in this database",
    }.get(timeout.source, f"in the server's {timeout.source}")
    session = patient.session.info
    role = Identifier(session.user).as_string()
    if timeout.source == "database user":  # which beats what is set for the role everywhere
        role += f" IN DATABASE {Identifier(session.dbname).as_string()}"
    return f"it is set {where}; ALTER ROLE {role} SET {timeout.name} = 0 turns it off for the role"
