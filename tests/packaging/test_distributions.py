"""The contents of the wheel and the sdist; the wheel works without the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from procrastinate_conn.registry import SERVER_KINDS

pytestmark = pytest.mark.subprocess

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return folder


@pytest.fixture(scope="module")
def unpacked(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel's content, as in site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    [wheel] = distributions.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_wheel_has_types_and_licence_and_no_other_files(unpacked: Path) -> None:
    [info] = unpacked.glob("procrastinate_conn-*.dist-info")
    assert (unpacked / "procrastinate_conn" / "py.typed").exists()
    assert (info / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert "procrastinate_conn.cli:main" in (info / "entry_points.txt").read_text()
    assert {path.name for path in unpacked.iterdir()} == {"procrastinate_conn", info.name}


def test_metadata_has_urls_and_a_readme_whose_links_are_absolute(unpacked: Path) -> None:
    [metadata] = unpacked.glob("*.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8")
    assert {"Homepage", "Documentation", "Changelog", "Issues"} == set(
        re.findall("Project-URL: (\\w+)", text)
    )
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 15
    assert all(link.startswith("https://") for link in links)
    assert "raw.githubusercontent.com" in next(link for link in links if link.endswith(".svg"))


def test_wheel_has_every_module(unpacked: Path) -> None:
    def modules(root: Path) -> set[str]:
        return {str(path.relative_to(root)) for path in (root / "procrastinate_conn").rglob("*.py")}

    assert modules(unpacked) == modules(ROOT)


def test_demo_of_the_wheel_reads_the_profiles_of_settings(unpacked: Path) -> None:
    script = (
        "from procrastinate_conn.demo.workload import profile; "
        "from procrastinate_conn.registry import SERVER_KINDS; "
        "print(*map(profile, SERVER_KINDS), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    packaged = [Path(line) for line in done.stdout.splitlines()]
    assert len(packaged) == len(SERVER_KINDS)
    for path in packaged:
        assert path.is_relative_to(unpacked)
        assert path.read_text() == (ROOT / "settings" / "demo" / path.name).read_text()


def test_sdist_has_the_tests_and_their_files(distributions: Path) -> None:
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "Makefile",
        "procrastinate_conn/py.typed",
        "settings/demo/psycopg.env",
        "examples/worker_and_deferrer/worker.py",
        "tests/conftest.py",
    } <= names
