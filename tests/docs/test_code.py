"""What the documentation shows is so: its Python runs, and its commands print what stands below them.

A block that begins with ``# name`` is the file of that name, in a folder of its own for each section.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.docs.pages import DOCS, PAGES, Block, Section, sections

pytestmark = pytest.mark.subprocess

OWN = "procrastinate-conn "
GENERATED = "<!-- Generated"
NEEDS_A_SERVER = ("couldn't get a connection",)
"""What the headings of sections begin with whose Python connects."""

FILE = re.compile(r"# (\S*\.\w+)\n")
SECTIONS = [
    section
    for page in PAGES
    if page.parent == DOCS and not page.read_text(encoding="utf-8").startswith(GENERATED)
    for section in sections(page)
]


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_the_code_of_a_section_runs(section: Section, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        environment = dict(os.environ)
        if section.heading.startswith(NEEDS_A_SERVER):
            server: EmbeddedPostgres = request.getfixturevalue("server")
            patch.setenv("PROCRASTINATE_CONN_DSN", server.dsn())
        try:
            for block in section.blocks:
                run(block, section)
        finally:
            os.environ.clear()
            os.environ.update(environment)


def run(block: Block, section: Section) -> None:
    """Do with a block what its language says."""
    if block.language == "python":
        # as a file of its own would be, with a traceback that leads to the page
        code = compile("\n" * (block.line - 1) + block.text, str(section.page), "exec")
        exec(code, {"__name__": "example"})
    elif block.language == "console":
        assert outputs(block) == block.text
    elif name := FILE.match(block.text):
        Path(name[1]).write_text(block.text[name.end() :])
        Path(name[1]).chmod(0o600)
    else:
        assert block.language in ("shell", "text"), "a file begins with its name"


def outputs(block: Block) -> str:
    """Return the block with what its commands print today."""
    printed = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            assert line.startswith(f"$ {OWN}"), "other programs are told of, not shown"
            done = subprocess.run(
                [sys.executable, "-m", "procrastinate_conn", *line.removeprefix(f"$ {OWN}").split()],
                env={**os.environ, "COLUMNS": "100"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            printed += [line, *(told.rstrip() for told in done.stdout.rstrip().splitlines())]
    return "\n".join(printed) + "\n"
