"""The most important outcomes, as a picture for the README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmarks.comparison import Outcome
from benchmarks.contenders import BY_HAND, LIMIT
from benchmarks.report import distance

OURS_COLOUR, BY_HAND_COLOUR, LIMIT_COLOUR = "#2f6fde", "#0b2545", "#9aa5b1"
MEASURES = ("defer", "defer_async", "defer, 32 threads", "work, concurrency 1", "work, concurrency 10")

FONT_SIZE = 15
"""Points: at half the picture's width the text is as large as a footnote."""
WIDTH, ROW_HEIGHT = 7.2, 0.36
"""Inches."""

# Text is not converted to paths, and the same outcomes give the same file.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "procrastinate-conn",
    "font.family": "sans-serif",
    "font.size": FONT_SIZE,
}


def draw(outcomes: Iterable[Outcome], file: Path) -> None:
    """Draw the rates at the first delay as SVG.

    Each connector has a bar that is as long as its share of the limit; a thin bar in it, for the connector by
    hand, if there is one; and how many times the one is the other.
    """
    shown = list(_shown(outcomes))
    if not shown:
        return
    headings = len({outcome.measure for outcome in shown})
    height = ROW_HEIGHT * (len(shown) + 1.2 * headings + 4.5)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        ticks: dict[str, list[float]] = {}
        row = 0.0
        for measure, group in groupby(shown, key=lambda outcome: outcome.measure):
            axes.text(0, row, measure, va="center", weight="bold", transform=axes.get_yaxis_transform())
            for outcome in group:
                row += 1
                _draw_row(axes, row, outcome)
                ticks.setdefault(outcome.kind, []).append(row)
            row += 1.2
        labels = sorted((position, kind) for kind, positions in ticks.items() for position in positions)
        axes.set_yticks([position for position, _ in labels], [kind for _, kind in labels])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(row - 0.5, -1)
        _draw_axis(axes, max(1.0, *(outcome.ratio(LIMIT) or 0 for outcome in shown)))
        figure.suptitle(f"Jobs a second, {distance(shown[0].delay_ms)}", x=0.01, ha="left", size="large")
        handles = [
            Patch(color=OURS_COLOUR, label="ours"),
            Line2D([], [], color=BY_HAND_COLOUR, linewidth=4, label="by hand"),
            Line2D([], [], color=LIMIT_COLOUR, linewidth=2, linestyle="--", label="limit"),
        ]
        figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=3)
        figure.savefig(file, metadata={"Date": None})


def _shown(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes in the picture, grouped by measure: those at the first delay there is."""
    known = [outcome for outcome in outcomes if outcome.measure in MEASURES]
    for measure in MEASURES:
        for outcome in known:
            if outcome.measure == measure and outcome.delay_ms == known[0].delay_ms:
                yield outcome


def _draw_row(axes: Axes, row: float, outcome: Outcome) -> None:
    times, share = outcome.ratio(BY_HAND), outcome.ratio(LIMIT) or 0
    axes.barh(row, share, 0.8, color=OURS_COLOUR)
    axes.text(share - 0.015, row - 0.1, f"{share:.0%}", color="white", ha="right", va="center", size="small")
    if times is None:  # procrastinate has no class for the kind
        return
    axes.barh(row + 0.27, share / times, 0.18, color=BY_HAND_COLOUR)
    beside = axes.get_yaxis_transform()  # its x goes from 0 to 1 across the axes
    axes.text(1.03, row, f"{times:.1f} ×", va="center", weight="bold", transform=beside)  # noqa: RUF001


def _draw_axis(axes: Axes, end: float) -> None:
    axes.axvline(1, color=LIMIT_COLOUR, linewidth=2, linestyle="--", zorder=0)
    axes.set_xlim(0, end)
    axes.set_xticks([0, 0.5, 1], ["0", "50%", "the limit"])
    axes.text(1.03, 0.1, "times\nby hand", va="bottom", linespacing=1, transform=axes.get_yaxis_transform())
    axes.spines[["top", "right", "left"]].set_visible(False)
