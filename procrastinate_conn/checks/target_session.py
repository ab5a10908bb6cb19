"""Sessions in which nothing can be written."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Example, Problem, Rule

READ_ONLY_SESSION = Rule(
    "PC219",
    "read-only session",
    "libpq skips the primary; a standby rejects every job that is deferred, fetched or finished.",
    "Write read-write: of several hosts libpq then takes the primary, after a failover as well.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?target_session_attrs=standby"),
)


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report a ``target_session_attrs`` with which libpq skips every server that could store a job."""
    attrs = configuration.connection.effective.get("target_session_attrs")
    if attrs is not None and attrs.value in ("read-only", "standby"):
        yield READ_ONLY_SESSION(
            "connection.target_session_attrs",
            f"with {attrs.value} libpq connects to no server that can store a job",
            hint="write read-write; or any, if there is one server",
            origin=attrs.origin,
        )
