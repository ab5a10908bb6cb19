"""The outcomes as tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.comparison import Outcome
from benchmarks.contenders import BY_HAND, LIMIT, ON_PSYCOPG, OURS, RAW

PACKAGES = (
    "procrastinate",
    "psycopg",
    "psycopg-pool",
    "psycopg2-binary",
    "aiopg",
    "asyncpg",
    "SQLAlchemy",
    "pydantic-settings",
)
WIDTH = 180
"""The width of the tables, in characters, in a terminal and in files."""
COLUMNS = [
    "measure",
    "connector",
    "unit",
    BY_HAND,
    OURS,
    LIMIT,
    "ours / by hand",
    "ours / psycopg kind",
    "ours / limit",
    "round trips",
    "CPU, µs a call",
    "CPU / by hand",
    "CPU / psycopg kind",
    "CPU / raw driver",
]


def table(outcomes: Iterable[Outcome], title: str) -> Table:
    """Return a table with a row for each outcome."""
    result = Table(title=title, title_justify="left")
    for number, column in enumerate(COLUMNS):
        result.add_column(column, justify="left" if number < 2 else "right", no_wrap=number < 2)
    for outcome in outcomes:
        result.add_row(*cells(outcome))
    return result


def cells(outcome: Outcome) -> list[str]:
    """Return an outcome's row of the table."""
    to_limit = outcome.ratio(LIMIT)
    trips, cpu = outcome.round_trips, outcome.cpu_us
    return [
        outcome.measure,
        outcome.kind,
        outcome.unit,
        *(figure(outcome.median(contender)) for contender in (BY_HAND, OURS, LIMIT)),
        *(_ratio(outcome.ratio(name)) for name in (BY_HAND, ON_PSYCOPG)),
        f"{to_limit:.0%}" if to_limit else "",
        " -> ".join(f"{trips[name]:.1f}" for name in (BY_HAND, OURS) if name in trips),
        f"{median(cpu[OURS]):.0f}" if cpu else "",
        *(_ratio(outcome.cpu_ratio(name)) for name in (BY_HAND, ON_PSYCOPG, RAW)),
    ]


def _ratio(number: float | None) -> str:
    return f"{number:.2f}" if number else ""


def figure(number: float | None) -> str:
    """Return a number with three significant digits, or more."""
    if number is None:
        return ""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def by_delay(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Return the outcomes grouped by their delay."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(distance(outcome.delay_ms), []).append(outcome)
    return groups


def distance(delay_ms: float | None) -> str:
    """Return the delay in words; None means that there is no server."""
    if delay_ms is None:
        return "without a server"
    return f"the server {delay_ms:g} ms away" if delay_ms else "the server on the same machine"


def read(folder: Path) -> list[Outcome]:
    """Return the outcomes in a folder's ``results.json``."""
    document = json.loads((folder / "results.json").read_text())
    return [Outcome.from_summary(summary) for summary in document["outcomes"]]


def write(outcomes: Sequence[Outcome], parameters: dict[str, object], folder: Path) -> None:
    """Write the tables to ``results.md``, and samples, machine and versions to ``results.json``."""
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "parameters": parameters,
        "outcomes": [outcome.summary() for outcome in outcomes],
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    sections = [
        f"## {title.capitalize()}\n\n{_markdown(chosen)}" for title, chosen in by_delay(outcomes).items()
    ]
    (folder / "results.md").write_text("\n".join(["# Results\n", *sections]))


def _markdown(outcomes: Iterable[Outcome]) -> str:
    aligned = ["---"] * 2 + ["---:"] * (len(COLUMNS) - 2)
    rows = [COLUMNS, aligned, *map(cells, outcomes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
