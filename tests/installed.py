"""The installed versions, for tests of behaviour that only some versions have."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from procrastinate_conn import drivers, libpq
from procrastinate_conn.registry import ConnectorKind


def installed(name: str) -> str:
    """Return the version of a distribution, of ``libpq``, or of psycopg2's libpq, ``psycopg2-libpq``."""
    if name == "libpq":
        return _dotted(libpq.version())
    if name == "psycopg2-libpq":
        return _dotted(drivers.libpq_version(ConnectorKind.PSYCOPG2))
    return version(name)


def unmet(requirements: Iterable[str]) -> list[str]:
    """Return the requirements that the installed versions do not meet."""
    return [
        requirement
        for requirement in requirements
        if installed((parsed := Requirement(requirement)).name) not in parsed.specifier
    ]


def needs(*requirements: str) -> None:
    """Skip the test unless the installed versions meet the requirements."""
    if missing := unmet(requirements):
        pytest.skip(f"not with the installed versions: {', '.join(missing)}")


def needs_argument(function: type, argument: str) -> None:
    """Skip the test unless the installed version of a class takes an argument."""
    if argument not in inspect.signature(function).parameters:
        pytest.skip(f"{function.__name__} has no {argument} in the installed version")


def _dotted(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"
