"""The code blocks of the documentation: Python runs, and commands print the lines below them.

A block that begins with ``# name`` is a file of that name; each section has a folder of its own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from procrastinate_conn import make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.checks.running import run as run_command
from tests.docs.pages import DOCS, PAGES, Block, Section, sections

pytestmark = pytest.mark.subprocess

OWN = "procrastinate-conn "
GENERATED = "<!-- Generated"
CONNECTS = ("couldn't get a connection", "Prometheus", "OpenTelemetry")
"""Beginnings of the headings of sections whose Python connects to a server."""

FILE = re.compile(r"# (\S*\.\w+)\n")
SECTIONS = [
    pytest.param(
        section, marks=pytest.mark.server if section.heading.startswith(CONNECTS) else (), id=str(section)
    )
    for page in PAGES
    if page.parent == DOCS and not page.read_text(encoding="utf-8").startswith(GENERATED)
    for section in sections(page)
]


@pytest.mark.parametrize("section", SECTIONS)
def test_code_blocks_of_a_section_run_in_order(
    section: Section, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.syspath_prepend(tmp_path)
        environment = dict(os.environ)
        if section.heading.startswith(CONNECTS):
            server: EmbeddedPostgres = request.getfixturevalue("server")
            patch.setenv("PROCRASTINATE_CONN_DSN", server.dsn())
        try:
            for block in section.blocks:
                run(block, section)
        finally:
            os.environ.clear()
            os.environ.update(environment)


@pytest.mark.parametrize("section", sections(DOCS / "migrating.md")[1:], ids=str)
def test_settings_of_a_migration_make_the_class_of_their_section(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in section.blocks:
        run(block, section)
    assert section.heading in {cls.__name__ for cls in type(make_connector()).__mro__}


def run(block: Block, section: Section) -> None:
    """Run Python and commands, write files, and skip the rest."""
    if block.language == "python" and not FILE.match(block.text):
        # compiled with the page's name and lines, so that a traceback leads there
        code = compile("\n" * (block.line - 1) + block.text, str(section.page), "exec", dont_inherit=True)
        exec(code, {"__name__": "example"})
    elif block.language == "console":
        assert outputs(block) == block.text
    elif name := FILE.match(block.text):
        Path(name[1]).write_text(block.text[name.end() :])
        Path(name[1]).chmod(0o600)
    else:
        assert block.language in ("shell", "text"), "the first line of a file has to be its name"


def outputs(block: Block) -> str:
    """Return the block with the actual output of its commands."""
    printed = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            assert line.startswith(f"$ {OWN}"), "only our own command is shown with its output"
            done = run_command(
                Path.cwd(), *line.removeprefix(f"$ {OWN}").split(), environment={"COLUMNS": "100"}
            )
            text = done.stdout + done.stderr
            printed += [line, *(output.rstrip() for output in text.rstrip().splitlines())]
    return "\n".join(printed) + "\n"
