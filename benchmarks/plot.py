"""The most important outcomes, as a picture for the README."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.comparison import Outcome
from benchmarks.contenders import BY_HAND, LIMIT, OURS
from benchmarks.report import distance

COLOURS = {BY_HAND: "#9aa5b1", OURS: "#2f6fde", LIMIT: "#c9d3de"}
# Text is not converted to paths, and the same outcomes give the same file.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "procrastinate-conn", "font.family": "sans-serif"}


def draw(outcomes: Iterable[Outcome], file: Path) -> None:
    """Draw the rates at the first delay as SVG, with a group of bars for each measure and connector."""
    rates = [outcome for outcome in outcomes if outcome.unit == "jobs/s" and "batch" not in outcome.measure]
    shown = [outcome for outcome in rates if outcome.delay_ms == rates[0].delay_ms]
    if not shown:
        return
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.62 * len(shown) + 1.2), layout="constrained")
        axes = figure.subplots()
        for row, outcome in enumerate(shown):
            for position, contender in enumerate(COLOURS):
                value = outcome.median(contender)
                bar = axes.barh(row + 0.27 * (position - 1), value or 0, 0.25, color=COLOURS[contender])
                axes.bar_label(bar, fmt="%.0f", padding=3, fontsize=8)
        axes.set_yticks(range(len(shown)), [f"{o.measure}\n{o.kind}" for o in shown], fontsize=9)
        axes.margins(y=0.02)
        axes.invert_yaxis()
        axes.set_title(f"Jobs a second, {distance(shown[0].delay_ms)}", fontsize=11, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        handles = [Patch(color=colour, label=contender) for contender, colour in COLOURS.items()]
        axes.legend(handles=handles, frameon=False, loc="lower right", fontsize=9)
        figure.savefig(file, metadata={"Date": None})
