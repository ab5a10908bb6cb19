"""A DSN that is empty, which usually is a variable that nobody set."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules

NAMING_A_DATABASE = ("host", "hostaddr", "dbname", "service")


def judge(configuration: Configuration) -> Iterator[Problem]:
    """Yield the empty DSN, unless other places say what to connect to: it may keep a farther DSN out.

    Parameters
    ----------
    configuration
        To libpq an empty DSN is one, and counts as stated.
    """
    dsn = configuration.connection.dsn
    if (
        dsn is None
        or str(dsn.value).strip()
        or any(k in configuration.connection.stated for k in NAMING_A_DATABASE)
    ):
        return
    yield rules.EMPTY_DSN(
        "dsn",
        "the DSN is empty, and nothing else says what to connect to",
        hint="set the variable that it comes from, or write host, dbname and user",
        origin=dsn.origin,
    )
