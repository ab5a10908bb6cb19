"""The public names of the package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import procrastinate_conn


@pytest.mark.parametrize("name", procrastinate_conn.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(procrastinate_conn, name) is not None
    assert name in dir(procrastinate_conn)


def test_version_is_the_installed_one():
    assert procrastinate_conn.__version__ == version("procrastinate-conn")


@pytest.mark.subprocess
def test_importing_the_package_imports_no_driver_and_no_pydantic():
    code = (
        "import sys, procrastinate_conn; print({'pydantic', 'psycopg', 'procrastinate'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'make_conector'"):
        _ = procrastinate_conn.make_conector
