"""The five kinds of connector, and what is known of each without importing its driver."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from procrastinate_conn.suggestions import nearest


class ConnectorKind(StrEnum):
    """The kinds of connector; procrastinate's class names are accepted too, in any case.

    Examples
    --------
    >>> ConnectorKind("AiopgConnector")
    <ConnectorKind.AIOPG: 'aiopg'>
    """

    PSYCOPG = "psycopg"
    AIOPG = "aiopg"
    SYNC_PSYCOPG = "sync-psycopg"
    PSYCOPG2 = "psycopg2"
    SQLALCHEMY_PSYCOPG2 = "sqlalchemy-psycopg2"

    @classmethod
    def _missing_(cls, value: object) -> ConnectorKind | None:
        if not isinstance(value, str):
            return None
        wanted = value.strip().lower().replace("_", "-")
        for kind, facts in FACTS.items():
            if wanted in (kind.value, facts.class_name.lower()):
                return kind
        return None


_OTHER_NAMES = {
    "async": ConnectorKind.PSYCOPG,
    "postgres": ConnectorKind.PSYCOPG,
    "postgresql": ConnectorKind.PSYCOPG,
    "psycopg-sync": ConnectorKind.SYNC_PSYCOPG,
    "sync": ConnectorKind.SYNC_PSYCOPG,
}
"""What a kind may be called, and is not near enough to it."""


def suggestion(name: str) -> str:
    """Return the hint about a name that is no kind's."""
    names = [kind.value for kind in ConnectorKind]
    # The class may be named with its module, as it is imported.
    classes = {facts.class_name.lower(): kind for kind, facts in FACTS.items()}
    wanted = name.strip().lower().rpartition(".")[2]
    near = {**_OTHER_NAMES, **classes}.get(wanted) or nearest(name, names)
    return f"did you mean {near}?" if near else f"the connectors are {', '.join(names)}"


class KindFacts(NamedTuple):
    """What is known of a kind of connector before its driver is imported.

    Parameters
    ----------
    class_module, class_name
        Where procrastinate defines the class.
    drivers
        The modules that have to be installed.
    extra
        The extra of procrastinate-conn that installs them.
    asynchronous
        Whether it defers asynchronously and runs a worker; every kind defers synchronously.
    looks_hosts_up
        Whether the driver asks the resolver for the addresses of hosts before libpq sees them.
    """

    class_module: str
    class_name: str
    drivers: tuple[str, ...]
    extra: str
    asynchronous: bool
    looks_hosts_up: bool


FACTS: dict[ConnectorKind, KindFacts] = {
    ConnectorKind.PSYCOPG: KindFacts(
        "procrastinate.psycopg_connector",
        "PsycopgConnector",
        ("psycopg",),
        "binary",
        asynchronous=True,
        looks_hosts_up=True,
    ),
    ConnectorKind.AIOPG: KindFacts(
        "procrastinate.contrib.aiopg",
        "AiopgConnector",
        ("aiopg", "psycopg2"),
        "aiopg",
        asynchronous=True,
        looks_hosts_up=True,
    ),
    ConnectorKind.SYNC_PSYCOPG: KindFacts(
        "procrastinate.sync_psycopg_connector",
        "SyncPsycopgConnector",
        ("psycopg",),
        "binary",
        asynchronous=False,
        looks_hosts_up=True,
    ),
    ConnectorKind.PSYCOPG2: KindFacts(
        "procrastinate.contrib.psycopg2",
        "Psycopg2Connector",
        ("psycopg2",),
        "psycopg2",
        asynchronous=False,
        looks_hosts_up=False,
    ),
    ConnectorKind.SQLALCHEMY_PSYCOPG2: KindFacts(
        "procrastinate.contrib.sqlalchemy",
        "SQLAlchemyPsycopg2Connector",
        ("sqlalchemy", "psycopg2"),
        "sqlalchemy",
        asynchronous=False,
        looks_hosts_up=False,
    ),
}
