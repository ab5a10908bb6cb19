"""The installed drivers: whether they are here, and which libpq each one carries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

from procrastinate_conn import libpq
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.rules import Example, Rule

MISSING_DRIVER = Rule(
    "PC401",
    "driver that is not installed",
    "The connector cannot be imported.",
    "Install the extra that the message names.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=aiopg", given="aiopg is not installed"),
)

NO_LIBPQ = Rule(
    "PC403",
    "libpq that cannot be loaded",
    "Without libpq nothing can be resolved or connected.",
    "Install the binary extra, or the system's libpq.",
    example=Example(given="psycopg finds no libpq"),
)


def no_libpq() -> Problem:
    """Report that psycopg can load no libpq, which is all that can be said then."""
    hint = "pip install 'procrastinate-conn[binary]', or install the system's libpq"
    return NO_LIBPQ("connector", "psycopg cannot load libpq", hint=hint)


def missing(kind: ConnectorKind) -> list[str]:
    """Return the modules that a kind needs and that are not installed; nothing is imported."""
    return [driver for driver in REGISTRY[kind].drivers if find_spec(driver) is None]


def libpq_version(kind: ConnectorKind) -> int:
    """Return the version of the libpq that a kind connects with, as ``180006`` for 18.6."""
    if not REGISTRY[kind].uses_psycopg2:
        return libpq.version()
    import psycopg2

    number: int = psycopg2.__libpq_version__
    return number


@cache
def keywords(kind: ConnectorKind) -> frozenset[str]:
    """Return the keywords that a kind's libpq knows, of those that anything is known of here."""
    if not REGISTRY[kind].uses_psycopg2:
        return frozenset(libpq.keywords())
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    def is_known(keyword: str) -> bool:
        try:
            parse_dsn(f"{keyword}=''")
        except ProgrammingError:
            return False
        return True

    return frozenset(filter(is_known, {*libpq.keywords(), *libpq.UNSET_VALUES}))


def validate_installed(kind: ConnectorKind, asked_for: SourcedValue | None) -> Iterator[Problem]:
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
        yield MISSING_DRIVER(
            "connector",
            f"the {kind} connector needs {' and '.join(absent)}, which {are} not installed",
            hint=f"pip install 'procrastinate-conn[{REGISTRY[kind].extra}]'",
            origin=asked_for.origin if asked_for else None,
        )
