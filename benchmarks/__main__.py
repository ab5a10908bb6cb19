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
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.demo.process import isolated_environment, treat_sigterm_as_sigint
from procrastinate_conn.registry import SERVER_KINDS

ROOT = Path(__file__).parents[1]
SERVER_SETTINGS = {"max_connections": "300", "autovacuum": "off"}


def main(
    rounds: Annotated[int, typer.Option(help="Turns of each contender.", min=1)] = 5,
    jobs: Annotated[int, typer.Option(help="Jobs in a turn, approximately.", min=32)] = 160,
    delay: Annotated[
        list[float], typer.Option(help="Milliseconds added to each round trip; one run for each.")
    ] = [1.0, 0.0],  # noqa: B006 - typer copies it
    only: Annotated[
        str,
        typer.Option(
            help="Only the measures whose names contain this; results in build/.", show_default=False
        ),
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="benchmarks/results")
    ] = None,
    *,
    plot: Annotated[
        bool, typer.Option("--plot", help="Measure nothing: draw the plot of the results once more.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round, as a test; results in build/.")
    ] = False,
) -> None:
    """Compare our connectors with the same ones written by hand, and with the limit.

    The limit is the same SQL on open psycopg connections in autocommit mode. The results are printed as a
    table, and written as a table, JSON and a plot.
    """
    if quick:
        rounds, jobs = 1, 32
    a_part = quick or only
    folder = output or (ROOT / "build" / "benchmarks" if a_part else ROOT / "benchmarks" / "results")
    if plot:
        draw(report.read(folder), folder / "results.svg")
        return
    folder.mkdir(parents=True, exist_ok=True)
    treat_sigterm_as_sigint()
    outcomes: list[Outcome] = []
    try:
        with isolated_environment(), Console(stderr=True).status("Starting") as status:
            outcomes += _starts(rounds, only)
            with EmbeddedPostgres(settings=SERVER_SETTINGS) as server:
                bench = Bench(server, rounds=rounds, jobs=jobs, report=status.update)
                for one in delay:
                    outcomes += bench.run(one, only)
    finally:  # a run takes minutes: the results are kept even if the rest fails
        for title, chosen in report.by_delay(outcomes).items():
            Console(width=report.WIDTH).print(report.table(chosen, title))
        report.write(outcomes, {"rounds": rounds, "jobs": jobs}, folder)
        draw(outcomes, folder / "results.svg")
    Console(stderr=True).print(f"Written to {folder}: results.md, results.json, results.svg")


def _starts(rounds: int, only: str) -> Iterator[Outcome]:
    if only in "cold start":
        yield cold_start(2 * rounds)
    if only in "warm build":
        yield from (warm_build(kind, rounds) for kind in SERVER_KINDS)


if __name__ == "__main__":
    typer.run(main)
