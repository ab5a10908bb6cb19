"""What is installed here: which connectors can be used, with which drivers, and what each can do."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from procrastinate_conn import drivers
from procrastinate_conn.registry import REGISTRY, ConnectorKind

DISTRIBUTIONS = {
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "sqlalchemy": ("SQLAlchemy",),
}
"""The distributions that a driver's module may come from, where they are not named like it."""


@dataclass(frozen=True, slots=True)
class Available:
    """What can be said of one kind of connector here.

    Parameters
    ----------
    kind
        The kind.
    drivers
        The version of each driver; None where it is not installed.
    libpq
        The version of the libpq that it connects with, like ``18.4``; None where there is none.
    importable
        Whether procrastinate can be imported: it imports psycopg whatever the kind, and psycopg a libpq.
    """

    kind: ConnectorKind
    drivers: dict[str, str | None]
    libpq: str | None
    importable: bool

    @property
    def usable(self) -> bool:
        """Whether a connector of the kind can be built here."""
        return self.importable and self.libpq is not None and None not in self.drivers.values()

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        extras = [REGISTRY[self.kind].extra] if self.importable else ["binary", REGISTRY[self.kind].extra]
        return f"pip install 'procrastinate-conn[{','.join(dict.fromkeys(extras))}]'"


def available(kind: ConnectorKind) -> Available:
    """Look at what a kind needs; a driver is imported only to ask for its libpq."""
    versions = {
        driver: None if driver in drivers.missing(kind) else _version(driver)
        for driver in REGISTRY[kind].drivers
    }
    libpq = None if None in versions.values() else _libpq(kind)
    return Available(kind, versions, libpq, importable=_libpq(ConnectorKind.PSYCOPG) is not None)


def _libpq(kind: ConnectorKind) -> str | None:
    try:
        number = drivers.libpq_version(kind)
    except ImportError:
        return None
    return f"{number // 10000}.{number % 10000}"


def _version(driver: str) -> str:
    for distribution in DISTRIBUTIONS.get(driver, (driver,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"
