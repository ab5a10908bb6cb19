"""What is generated is what stands in the repository, and the whole builds without a warning."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
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
@pytest.mark.skipif(libpq.version() // 10000 != 18, reason="the pages are made with libpq 18")
def test_the_page_is_the_one_that_make_pages_writes(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make pages`"


@pytest.mark.subprocess
@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_shows_what_the_command_prints(name: str) -> None:
    command = f"procrastinate-conn {PICTURES[name][1]}"  # which is the title, too
    told = f"{command} $ {command} {Text.from_ansi(printed(name)).plain}"
    shown = words((DOCS / "pictures" / name).read_text(encoding="utf-8"))
    assert shown == "".join(told.split()), "run `make pages`"


@pytest.mark.parametrize(
    ("page", "sentence", "seconds"),
    [
        ("docs/inside.md", "and has five seconds to answer", acquire.PING_TIMEOUT == 5),
        (
            "docs/cloud.md",
            "It has 10 s, and what it prints",
            passwords.COMMAND_TIME_LIMIT == 10,
        ),
        ("docs/cloud.md", "unless it was within the last 10 s", passwords.COMMAND_CACHED_FOR == 10),
        ("README.md", "a command at most every 10 s", passwords.COMMAND_CACHED_FOR == 10),
    ],
)
def test_the_seconds_are_those_of_the_code(page: str, sentence: str, seconds: bool) -> None:
    assert sentence in " ".join((DOCS.parent / page).read_text(encoding="utf-8").split())
    assert seconds


def test_the_readme_says_what_was_measured() -> None:
    results = json.loads((DOCS.parent / "benchmarks" / "results" / "results.json").read_text("utf-8"))
    away = {(o["measure"], o["kind"]): o["ours_to"] for o in results["outcomes"] if o["delay_ms"] == 1}
    by_itself = away.pop(("defer_async", "aiopg"))["by hand"]
    deferred = [ratios["by hand"] for (measure, _), ratios in away.items() if measure.startswith("defer")]
    one_by_one = [r["by hand"] for (measure, _), r in away.items() if measure in ("defer", "defer_async")]
    worked = [away[f"work, concurrency {n}", "psycopg"]["by hand"] for n in (1, 10)]
    text = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"{min(one_by_one):.1f} to {max(one_by_one):.1f} times the jobs deferred a second one after" in text
    )
    assert f"{min(worked):.1f} to {max(worked):.1f} times the jobs worked" in text
    assert min(deferred) > 1
    assert by_itself > 0.95


def words(svg: str) -> str:
    """Return the text of a picture, without blanks."""
    return "".join("".join(unescape(text).split()) for _, text in SVG_LINE.findall(svg))


@pytest.mark.subprocess
def test_everything_builds_and_every_link_between_the_pages_leads_somewhere(tmp_path: Path) -> None:
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
        assert name in dir(procrastinate_conn)
        assert f'id="procrastinate_conn.{name}"' in interface
