"""The installed drivers: their versions, and the libpq that each one carries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.entry_points import UnusableKind
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import ConfigurationError, Example, Problem, Rule
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY, ConnectorKind

MISSING_DRIVER = Rule(
    "PC401",
    "driver that is not installed",
    "The connector cannot be imported.",
    "Install the extra that the message names.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=aiopg", given="aiopg is not installed"),
)

UNUSABLE_KIND = Rule(
    "PC405",
    "connector of another package that cannot be used",
    "The connector cannot be built.",
    "Upgrade the package that the message names, or remove it and choose another connector.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=acme", given="the package acme is broken"),
)

NO_LIBPQ = Rule(
    "PC403",
    "libpq that cannot be loaded",
    "Without libpq nothing can be resolved or connected.",
    "Install the binary extra, or the system's libpq.",
    example=Example(given="psycopg finds no libpq"),
)


class InstalledDrivers(NamedTuple):
    """What is installed of a kind's requirements."""

    kind: ConnectorKind
    drivers: dict[str, str | None]  # the version of each; None if it is not installed
    libpq: str | None  # the version that it connects with, like ``18.4``; None if it has none
    usable: bool  # whether a connector of the kind can be built here
    install: str  # the command that installs what is missing


def installed_drivers(kind: ConnectorKind) -> InstalledDrivers:
    """Find the drivers of a kind; one is imported only for its libpq's version."""
    absent, has_server = missing(kind), REGISTRY[kind].has_server
    libpq_of_kind = None if absent or not has_server else _dotted_libpq_version(kind)
    # procrastinate imports psycopg whatever the kind, and psycopg a libpq.
    is_importable = _dotted_libpq_version(ConnectorKind.PSYCOPG) is not None
    return InstalledDrivers(
        kind,
        {driver: None if driver in absent else _version(driver) for driver in REGISTRY[kind].drivers},
        libpq_of_kind,
        usable=is_importable and not absent and (libpq_of_kind is not None or not has_server),
        install=install_command(kind, *([] if is_importable else ["binary"])),
    )


def missing(kind: ConnectorKind) -> list[str]:
    """Return the modules that a kind needs and that are not installed; nothing is imported."""
    return [driver for driver in REGISTRY[kind].drivers if not _is_installed(driver)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def install_command(kind: ConnectorKind, *extras: str) -> str:
    """Return the command that installs what a kind needs, and this package with extras."""
    info = REGISTRY[kind]
    others = " ".join(missing(kind)) if info.package else ""
    extras = tuple(filter(None, dict.fromkeys((*extras, info.extra))))
    ours = f"'procrastinate-conn[{','.join(extras)}]'" if extras else ""
    return f"pip install {' '.join(filter(None, (ours, others)))}"


def libpq_version(kind: ConnectorKind) -> int:
    """Return the version of the libpq that a kind connects with, as ``180006`` for 18.6."""
    if not REGISTRY[kind].uses_psycopg2:
        return libpq.version()
    import psycopg2

    number: int = psycopg2.__libpq_version__
    return number


@cache
def keywords(kind: ConnectorKind) -> frozenset[str]:
    """Return the keywords that a kind's libpq knows, of those that this package knows."""
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


def validate_installed(kind: ConnectorKind, configured: SourcedValue | None) -> Iterator[Problem]:
    """Yield a problem if a driver of a kind is not installed; `configured` is the setting, if it is set."""
    if absent := missing(kind):
        are = "is" if len(absent) == 1 else "are"
        yield MISSING_DRIVER(
            "connector",
            f"the {kind} connector needs {' and '.join(absent)}, which {are} not installed",
            hint=install_command(kind),
            origin=configured.origin if configured else None,
        )


def unusable_kind(error: UnusableKind, configured: SourcedValue | None) -> Problem:
    """Return the problem that the connector that is set is another package's, and cannot be used."""
    origin = configured.origin if configured else None
    return UNUSABLE_KIND("connector", str(error), hint=error.hint, origin=origin)


def leaves_kind_unknown(problem: Problem) -> bool:
    """Return whether a problem leaves open which connector is meant; a missing driver does not."""
    is_error = problem.setting == "connector" and problem.severity == "error"
    return is_error and problem.code != MISSING_DRIVER.code


def require_libpq() -> None:
    """Raise a `ConfigurationError` if psycopg can load no libpq: then nothing can be read or validated."""
    try:
        libpq.version()
    except ImportError as error:
        hint = f"{install_command(DEFAULT_KIND)}, or install the system's libpq"
        problem = NO_LIBPQ("connector", "psycopg cannot load libpq", hint=hint)
        raise ConfigurationError([problem]) from error


def _version(driver: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    for distribution in (driver, f"{driver}-binary"):  # psycopg2's module is in one or the other
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"


def _dotted_libpq_version(kind: ConnectorKind) -> str | None:
    try:
        number = libpq_version(kind)
    except ImportError:
        return None
    return f"{number // 10000}.{number % 10000}"
