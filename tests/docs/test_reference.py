"""Generated pages and pictures are up to date, the pages agree with the code, and Sphinx builds them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from html import unescape
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from rich.text import Text

import procrastinate_conn
from docs.generate.interface import ORDER
from docs.generate.pictures import PICTURES, printed
from docs.generate.reference import PAGES
from procrastinate_conn import libpq, passwords
from procrastinate_conn.connectors.runtime import acquire
from tests.docs.pages import DOCS

SVG_LINE = re.compile(r"<text [^>]*?y=\"([\d.]+)\"[^>]*>(.*?)</text>")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.skipif(libpq.version() // 10000 != 18, reason="the pages are generated with libpq 18")
def test_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make pages`"


@pytest.mark.subprocess
@pytest.mark.parametrize("name", PICTURES)
def test_picture_shows_the_output_of_its_command(name: str) -> None:
    command = f"procrastinate-conn {PICTURES[name][1]}"  # the title, too
    expected = f"{command} $ {command} {Text.from_ansi(printed(name)).plain}"
    shown = text_of((DOCS / "pictures" / name).read_text(encoding="utf-8"))
    assert shown == "".join(expected.split()), "run `make pages`"


def words(page: str) -> str:
    """Return a page with single blanks between its words."""
    return " ".join((DOCS.parent / page).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("docs/architecture.md", f"the server has {acquire.PING_TIMEOUT:g} s to answer"),
        ("docs/cloud.md", f"The command has {passwords.COMMAND_TIME_LIMIT:g} s"),
        ("docs/cloud.md", f"its output is used for {passwords.COMMAND_CACHED_FOR:g} s"),
        ("docs/first-steps.md", f"a command at most every {passwords.COMMAND_CACHED_FOR:g} s"),
    ],
)
def test_time_limit_in_the_page_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in words(page)


def test_first_steps_list_every_extra_with_what_it_installs() -> None:
    extras = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    page = (DOCS / "first-steps.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9]+)` \| ([^|]+) \| [^|]*\|$", page, re.MULTILINE))
    assert rows.pop("all") == "all of them"
    del extras["all"]
    packages = {extra: [Requirement(each).name for each in needed] for extra, needed in extras.items()}
    assert {extra: re.findall("`([^`]+)`", cell) for extra, cell in rows.items()} == packages


def test_readme_quotes_the_measured_ratios() -> None:
    results = json.loads((DOCS.parent / "benchmarks" / "results" / "results.json").read_text("utf-8"))
    away = {(o["measure"], o["kind"]): o["ours_to"] for o in results["outcomes"] if o["delay_ms"] == 1}
    by_itself = away.pop(("defer_async", "aiopg"))["by hand"]
    by_hand = {row: ratios["by hand"] for row, ratios in away.items() if "by hand" in ratios}
    deferred = [ratio for (measure, _), ratio in by_hand.items() if measure.startswith("defer")]
    one_by_one = [ratio for (measure, _), ratio in by_hand.items() if measure in ("defer", "defer_async")]
    worked = [by_hand[f"work, concurrency {n}", "psycopg"] for n in (1, 10)]
    text = words("README.md")
    assert f"{min(one_by_one):.1f} to {max(one_by_one):.1f} times the jobs deferred a second" in text
    assert f"{min(worked):.1f} to {max(worked):.1f} times the jobs worked" in text
    assert min(deferred) > 1
    assert by_itself > 0.95


def text_of(svg: str) -> str:
    """Return the text of a picture, without blanks."""
    return "".join("".join(unescape(text).split()) for _, text in SVG_LINE.findall(svg))


@pytest.mark.subprocess
def test_sphinx_builds_every_page_and_link_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    interface = (tmp_path / "api.html").read_text(encoding="utf-8")
    for name in ORDER:
        assert f'id="procrastinate_conn.{name}"' in interface
    for page, pattern in {"examples": "examples/*/*.py", "profiles": "settings/*.env"}.items():
        shown = (tmp_path / f"{page}.html").read_text(encoding="utf-8")
        assert not [file for file in DOCS.parent.glob(pattern) if f">{file.name}</span>" not in shown]


def test_page_of_the_interface_has_every_exported_name() -> None:
    assert {*ORDER, "__version__"} == set(procrastinate_conn.__all__)
