"""The installed drivers: whether they are here, and which libpq each one carries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import FACTS, ConnectorKind
from procrastinate_conn.rules import connector as rules


def missing(kind: ConnectorKind) -> list[str]:
    """Return the modules that a kind needs and that are not installed; nothing is imported."""
    return [driver for driver in FACTS[kind].drivers if find_spec(driver) is None]


def uses_psycopg2(kind: ConnectorKind) -> bool:
    """Tell whether a kind connects through psycopg2, whose libpq may be another than psycopg's."""
    return "psycopg2" in FACTS[kind].drivers


def libpq_version(kind: ConnectorKind) -> int:
    """Return the version of the libpq that a kind connects with, as ``180006`` for 18.6."""
    if not uses_psycopg2(kind):
        return libpq.version()
    import psycopg2

    number: int = psycopg2.__libpq_version__
    return number


@cache
def keywords(kind: ConnectorKind) -> frozenset[str]:
    """Return the keywords that a kind's libpq knows, of those that anything is known of here."""
    if not uses_psycopg2(kind):
        return frozenset(libpq.keywords())
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    def is_known(keyword: str) -> bool:
        try:
            parse_dsn(f"{keyword}=''")
        except ProgrammingError:
            return False
        return True

    return frozenset(filter(is_known, {*libpq.keywords(), *libpq.NEUTRAL}))


def judge_installed(kind: ConnectorKind, asked_for: Located | None) -> Iterator[Problem]:
    """Yield a problem if the driver of a kind is not installed.

    Parameters
    ----------
    kind
        The connector.
    asked_for
        Where the connector was asked for; None where it is the default.
    """
    if absent := missing(kind):
        are = "is" if len(absent) == 1 else "are"
        yield rules.MISSING_DRIVER(
            "connector",
            f"the {kind} connector needs {' and '.join(absent)}, which {are} not installed",
            hint=f"pip install 'procrastinate-conn[{FACTS[kind].extra}]'",
            origin=asked_for.origin if asked_for else None,
        )
