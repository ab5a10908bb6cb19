"""Sessions that are asked for because nothing can be written in them."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule

READ_ONLY_SESSION = Rule(
    "PC219",
    "session that nothing can be written in",
    "libpq passes over the primary; a standby refuses every job that is deferred, fetched or finished.",
    "Write read-write: of several hosts libpq then takes the primary, after a failover as well.",
    example=Example(
        "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?target_session_attrs=standby",
    ),
)


READ_ONLY = ("read-only", "standby")


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield a finding where libpq passes over every server that could store a job.

    Parameters
    ----------
    configuration
        What its connection states of ``target_session_attrs``, wherever it does.
    """
    wanted = configuration.connection.effective.get("target_session_attrs")
    if wanted is not None and wanted.value in READ_ONLY:
        yield READ_ONLY_SESSION(
            "connection.target_session_attrs",
            f"with {wanted.value} libpq connects to no server that can store a job",
            hint="write read-write; or any, where there is one server",
            origin=wanted.origin,
        )
