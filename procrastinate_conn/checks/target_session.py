"""Sessions that are asked for because nothing can be written in them."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules

READ_ONLY = ("read-only", "standby")


def judge(configuration: Configuration) -> Iterator[Problem]:
    """Yield a finding where libpq passes over every server that could store a job.

    Parameters
    ----------
    configuration
        What its connection states of ``target_session_attrs``, wherever it does.
    """
    wanted = configuration.connection.winners.get("target_session_attrs")
    if wanted is not None and wanted.value in READ_ONLY:
        yield rules.READ_ONLY_SESSION(
            "connection.target_session_attrs",
            f"with {wanted.value} libpq connects to no server that can store a job",
            hint="write read-write; or any, where there is one server",
            origin=wanted.origin,
        )
