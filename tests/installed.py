"""Which versions are installed, for tests of what only some versions do."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from procrastinate_conn import drivers, libpq
from procrastinate_conn.registry import ConnectorKind


def installed(name: str) -> str:
    """Return the version of a distribution, of ``libpq`` or of ``psycopg2-libpq``, the one of psycopg2."""
    if name == "libpq":
        return _dotted(libpq.version())
    if name == "psycopg2-libpq":
        return _dotted(drivers.libpq_version(ConnectorKind.PSYCOPG2))
    return version(name)


def unmet(requirements: Iterable[str]) -> list[str]:
    """Return the requirements that what is installed does not meet."""
    return [
        requirement
        for requirement in requirements
        if installed((parsed := Requirement(requirement)).name) not in parsed.specifier
    ]


def needs(*requirements: str) -> None:
    """Skip the test that calls this, where other versions are installed."""
    if lacking := unmet(requirements):
        pytest.skip(f"not with the versions installed here: {', '.join(lacking)}")


def _dotted(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"
