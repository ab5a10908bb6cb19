"""The benchmarks run, measure every contender, and count the round trips that the README claims.

Only counts are tested: they do not depend on the machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.comparison import Outcome
from benchmarks.measures import ASYNCHRONOUS, SYNCHRONOUS
from benchmarks.plot import draw
from benchmarks.report import read, write
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS

pytestmark = pytest.mark.subprocess

ROOT = Path(__file__).parents[2]

BY_HAND = {"psycopg": 4, "sync-psycopg": 4, "psycopg2": 3, "sqlalchemy-psycopg2": 3, "aiopg": 1}
"""Round trips of a deferred job with procrastinate's own classes."""

RAW_DRIVERS = {kind for kind in SERVER_KINDS if "psycopg" not in REGISTRY[kind].drivers}
"""The kinds whose driver is not psycopg, which is the limit."""

RoundTrips = dict[str, dict[str, float]]
"""By contender and kind of connector, for each call."""


def run(only: str, folder: Path) -> dict[str, RoundTrips]:
    """Run the measures whose names contain `only` for one short round, and return the round trips of each."""
    arguments = ["--quick", "--delay", "0.1", "--only", only, "--output", str(folder)]
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    counted: dict[str, RoundTrips] = {}
    for outcome in json.loads((folder / "results.json").read_text())["outcomes"]:
        compared = "by hand" if outcome["kind"] in BY_HAND else "psycopg kind"
        contenders = {compared, "ours", "limit"}
        if outcome["kind"] in RAW_DRIVERS:
            contenders.add("raw driver")
        assert outcome["median"].keys() == outcome["cpu_us"].keys() == contenders
        assert min(outcome["median"]["ours"], *outcome["cpu_us"].values()) > 0
        assert outcome["ours_to"].keys() == {compared, "limit"}
        assert outcome["cpu_ours_to"].keys() == {compared, "raw driver"}
        for contender, number in outcome["round_trips"].items():
            measured = counted.setdefault(outcome["measure"], {})
            measured.setdefault(contender, {})[outcome["kind"]] = number
    return counted


def test_deferring_a_job_takes_one_round_trip(tmp_path):
    counted = run("defer", tmp_path)
    for kinds, measures in (
        (SYNCHRONOUS, ("defer", "batch_defer, 100 jobs")),
        (ASYNCHRONOUS, ("defer_async", "batch_defer_async, 100 jobs")),
    ):
        for measure in measures:
            by_hand = {kind: BY_HAND[kind] for kind in kinds if kind in BY_HAND}
            assert counted[measure]["by hand"] == by_hand
            assert counted[measure]["ours"] == dict.fromkeys(kinds, 1)


def test_working_a_job_takes_two_round_trips(tmp_path):
    counted = run("work", tmp_path)
    for concurrency in (1, 10):
        measured = counted[f"work, concurrency {concurrency}"]
        # A worker also registers itself, and fetches once more when no job is left.
        assert 8 <= measured["by hand"]["psycopg"] < 10
        for contender in ("ours", "limit"):
            assert all(2 <= number < 3 for number in measured[contender].values())
    assert "| work, concurrency 1 | psycopg | jobs/s |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "results.svg").read_text().startswith("<?xml")


def test_query_takes_one_round_trip(tmp_path):
    counted = run("query", tmp_path)
    assert counted["query"]["ours"] == dict.fromkeys(SYNCHRONOUS, 1)
    assert counted["query_async"]["ours"] == dict.fromkeys(ASYNCHRONOUS, 1)


def test_plot_has_the_share_of_the_limit_and_how_many_times_by_hand(tmp_path):
    samples = {"by hand": [100.0, 110.0], "ours": [300.0, 330.0], "limit": [400.0, 440.0]}
    summary = Outcome("defer", "psycopg", 1.0, "jobs/s", samples).summary()
    (tmp_path / "results.json").write_text(json.dumps({"outcomes": [summary]}))
    draw(read(tmp_path), tmp_path / "results.svg")
    text = re.findall(r">([^<>]+)</text>", (tmp_path / "results.svg").read_text())
    assert {"defer", "psycopg", "75%", "3.0 ×", "Jobs a second, the server 1 ms away"} <= {*text}  # noqa: RUF001


def test_kind_without_a_class_of_procrastinates_has_no_ratio_to_it(tmp_path):
    samples = {"psycopg kind": [100.0, 110.0], "ours": [125.0, 132.0], "limit": [250.0, 264.0]}
    cpu = {
        "psycopg kind": [300.0, 310.0],
        "ours": [150.0, 155.0],
        "limit": [100.0, 100.0],
        "raw driver": [75.0, 75.0],
    }
    outcome = Outcome("defer_async", "asyncpg", 1.0, "jobs/s", samples, cpu, {"ours": 1.0})
    write([outcome], {}, tmp_path)
    [read_again] = read(tmp_path)
    assert read_again == outcome
    row = "| defer_async | asyncpg | jobs/s |  | 128 | 257 |  | 1.23 | 50% | 1.0 | 152 |  | 0.50 | 2.03 |"
    assert row in (tmp_path / "results.md").read_text()
    draw([read_again], tmp_path / "results.svg")
    text = re.findall(r">([^<>]+)</text>", (tmp_path / "results.svg").read_text())
    assert "50%" in text
    assert not [words for words in text if words.endswith("×")]  # noqa: RUF001
