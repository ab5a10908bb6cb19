"""A DSN that is empty, which usually is a variable that nobody set."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule

EMPTY_DSN = Rule(
    "PC217",
    "empty DSN",
    "To libpq it is a DSN that states nothing: the connection goes to this machine, as the user of the"
    " process. Most often a variable was not set where the configuration is made.",
    "Set the variable that the DSN comes from, or remove the DSN.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN="),
)


_EMPTY = re.compile(r"\s*(?:postgres(?:ql)?(?:\+\w+)?://:?@:?/?)?\s*")
"""Nothing, or the signs of a URI around nothing; ``postgresql:///`` is written on purpose."""

NAMING_A_DATABASE = ("host", "hostaddr", "dbname", "service")


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield the empty DSN, unless other places say what to connect to: it may keep a farther DSN out.

    Parameters
    ----------
    configuration
        To libpq an empty DSN is one, and counts as stated; so is a URI of which only the signs are left.
    """
    dsn = configuration.connection.dsn
    if (
        dsn is None
        or not _EMPTY.fullmatch(dsn.text)
        or any(k in configuration.connection.configured for k in NAMING_A_DATABASE)
    ):
        return
    yield EMPTY_DSN(
        "dsn",
        "the DSN states nothing, and nothing else says what to connect to",
        hint="set the variable that it comes from, or write host, dbname and user",
        origin=dsn.origin,
    )
