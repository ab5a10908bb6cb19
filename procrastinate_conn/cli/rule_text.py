"""The rules, told: for a terminal and for the documentation."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby

from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.rules import Example, Rule

ROOMS = {"1": "Settings", "2": "Connection", "3": "Pool", "4": "Connector", "5": "Security"}
"""The rooms that rules belong to, by the first digit of their codes."""

WIDEST = 100
"""Columns that are read with ease."""


def listed(rules: Iterable[Rule], terminal: Terminal) -> str:
    """Return a line for each rule, room by room.

    Parameters
    ----------
    rules
        By code.
    terminal
        Where they are printed.
    """
    blocks = []
    for room, members in _rooms(rules):
        lines = [
            terminal.style(room, bold=True),
            *(f"  {r.code}  {r.severity:<7}  {r.title}" for r in members),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, "`procrastinate-conn rule CODE` explains one of them."])


def described(rule: Rule, terminal: Terminal) -> str:
    """Return what a rule means, why it matters, what to do, and an example.

    Parameters
    ----------
    rule
        The rule.
    terminal
        Where it is printed.
    """
    width = min(terminal.width or WIDEST, WIDEST)

    def paragraph(heading: str, text: str) -> str:
        told = textwrap.fill(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        return f"{terminal.style(heading, bold=True)}\n{told}"

    example = textwrap.indent("\n".join(_example(rule.example)), "  ")
    return "\n\n".join(
        [
            f"{terminal.style(rule.code, bold=True)} {rule.severity}: {rule.title}",
            paragraph("Why it matters", rule.why),
            paragraph("What to do", rule.fix),
            f"{terminal.style('Example', bold=True)}\n{example}",
        ]
    )


def markdown(rules: Iterable[Rule]) -> str:
    """Return the rules for the documentation.

    Parameters
    ----------
    rules
        By code.
    """
    parts = []
    for room, members in _rooms(rules):
        parts.append(f"## {room}")
        parts.extend(_section(rule) for rule in members)
    return "\n\n".join(parts)


def _section(rule: Rule) -> str:
    example = "\n".join(_example(rule.example))
    return (
        f"### {rule.code}: {rule.title}\n\n"
        f"Severity: {rule.severity}\n\n{rule.why}\n\n**What to do:** {rule.fix}\n\n```text\n{example}\n```"
    )


def _rooms(rules: Iterable[Rule]) -> Iterator[tuple[str, Iterator[Rule]]]:
    for digit, members in groupby(rules, key=lambda rule: rule.code[2]):
        yield ROOMS[digit], members


def _example(example: Example) -> Iterator[str]:
    """Yield the lines of an example: its files, what has to be so besides, and the command."""
    for name, text in {".env": example.env, **example.files}.items():
        if text:
            yield f"# {name}"
            yield from text.rstrip("\n").split("\n")
            yield ""
    if example.given:
        yield f"# and {example.given}" if example.env else f"# {example.given}"
        yield ""
    yield f"$ procrastinate-conn check {shlex.join(example.arguments)}"
