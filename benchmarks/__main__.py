"""`make bench`: ours against connectors written by hand, and against the limit, side by side in one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.comparison import Outcome
from benchmarks.plot import draw
from benchmarks.start import cold_start, warm_build
from procrastinate_conn import ConnectorKind
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.demo.profiles import environment_of_its_own

ROOT = Path(__file__).parents[1]
SERVER_SETTINGS = {"max_connections": "300", "autovacuum": "off"}


def main(
    rounds: Annotated[int, typer.Option(help="Turns of each contender.", min=1)] = 7,
    jobs: Annotated[int, typer.Option(help="Jobs in a turn, more or less.", min=32)] = 320,
    delay: Annotated[
        tuple[float, float], typer.Option(help="Milliseconds added to each round trip, one run for each.")
    ] = (1.0, 0.0),
    only: Annotated[str, typer.Option(help="Measures whose names contain this.")] = "",
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = ROOT / "benchmarks" / "results",
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round to see that it works; writes to build/.")
    ] = False,
) -> None:
    """Compare our connectors with the same ones written by hand, and with the limit.

    The limit is the same SQL on one held psycopg connection in autocommit mode, nothing else. The results
    are shown as a table, and written as a table, JSON and a plot.
    """
    if quick:
        rounds, jobs, output = 1, 32, ROOT / "build" / "benchmarks"
    with environment_of_its_own(), Console(stderr=True).status("Starting PostgreSQL") as status:
        outcomes = [*_starts(rounds, only)]
        with EmbeddedPostgres(settings=SERVER_SETTINGS) as server:
            bench = Bench(server, rounds=rounds, jobs=jobs, report=status.update)
            for one in delay:
                outcomes += bench.run(one, only)
    for title, chosen in report.by_delay(outcomes).items():
        Console(width=report.WIDTH).print(report.table(chosen, title))
    output.mkdir(parents=True, exist_ok=True)
    report.write(outcomes, {"rounds": rounds, "jobs": jobs}, output)
    draw(outcomes, output / "results.svg")


def _starts(rounds: int, only: str) -> Iterator[Outcome]:
    if only in "cold start":
        yield cold_start(2 * rounds)
    if only in "warm build":
        yield from (warm_build(kind, rounds) for kind in ConnectorKind)


if __name__ == "__main__":
    typer.run(main)
