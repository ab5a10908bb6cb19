"""A diagnosis as text: a line for each result, and below it what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import typer

from procrastinate_conn.cli.terminal import Terminal
from procrastinate_conn.doctor.report import Diagnosis
from procrastinate_conn.doctor.result import Result, Status

MARKS: dict[Status, tuple[str, str]] = {
    "pass": ("ok", "green"),
    "warning": ("warn", "yellow"),
    "fail": ("FAIL", "red"),
}
"""How each status is written, and its colour."""


def render(diagnosis: Diagnosis, terminal: Terminal) -> str:
    """Return the results, aligned, and one line that sums them up.

    Parameters
    ----------
    diagnosis
        What was found.
    terminal
        Where it is printed.
    """
    width = max(len(result.name) for result in diagnosis.results())
    blocks = [(str(host), host.checks) for host in diagnosis.hosts]
    lines = [_line(result, width, terminal) for result in diagnosis.checks if result.name == "settings"]
    for heading, results in blocks:
        lines += ["", _styled(heading, terminal, bold=True), *(_line(r, width, terminal) for r in results)]
    rest = [result for result in diagnosis.checks if result.name != "settings"]
    lines += ["", *(_line(result, width, terminal) for result in rest)] if rest else []
    return "\n".join([*lines, "", _summary(diagnosis, list(diagnosis.results()))])


def _line(result: Result, width: int, terminal: Terminal) -> str:
    mark, colour = MARKS[result.status]
    indent = " " * (width + 8)
    head = f"{mark:>4}  {result.name:<{width}}  "
    text = _wrapped(head + result.message, terminal.width, indent)
    if result.hint:
        text += "\n" + _wrapped(f"{indent}-> {result.hint}", terminal.width, indent + "   ")
    painted = _styled(f"{mark:>4}", terminal, fg=colour, bold=result.status == "fail")
    return painted + text[4:]


def _wrapped(text: str, width: int | None, indent: str) -> str:
    if width is None:
        return text
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _summary(diagnosis: Diagnosis, results: Sequence[Result]) -> str:
    counts = [
        (sum(result.status == status for result in results), word)
        for status, word in (("fail", "failure"), ("warning", "warning"))
    ]
    found = " and ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count)
    return found or f"In order: {diagnosis.connector}, {len(results)} checks."


def _styled(text: str, terminal: Terminal, *, fg: str | None = None, bold: bool = False) -> str:
    return typer.style(text, fg=fg, bold=bold) if terminal.colour else text
