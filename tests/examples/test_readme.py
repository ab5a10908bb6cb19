"""The README's example runs, and the pages' links and commands exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from procrastinate_conn.demo.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md")]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOTENV = re.compile(r"echo '(PROCRASTINATE_CONN_DSN=)[^']*' >> \.env")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)")
EXAMPLE = re.compile(r"```python\n(import procrastinate\n.*?)```", re.DOTALL)


def test_readme_example_works_its_job_in_every_run(tmp_path: Path, server: EmbeddedPostgres) -> None:
    setting, example = DOTENV.search(README), EXAMPLE.search(README)
    assert setting is not None
    assert example is not None
    (tmp_path / ".env").write_text(f"{setting[1]}{server.dsn(server.create_database())}\n")
    (tmp_path / "example.py").write_text(example[1])

    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            env=os.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "Hello, PostgreSQL!\n"), done.stderr


def test_make_has_every_target_that_a_page_mentions() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for page in PAGES for target in re.findall(r"\bmake ([a-z]+)", page.read_text("utf-8"))}
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_into_the_repository_have_a_target() -> None:
    for page in PAGES:
        for target, anchor in re.findall(LINK, page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(page.parent / target), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_example_has_a_section_and_fits_on_a_screen() -> None:
    examples = ROOT / "examples"
    folders = {path.name for path in examples.iterdir() if path.is_dir()}
    headings = re.findall(r"^## (.+)$", (examples / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == folders
    for script in examples.rglob("*.py"):
        lines = len(script.read_text(encoding="utf-8").splitlines())
        assert lines <= 40 or script.is_relative_to(examples / "own_kind"), script  # which is a package
