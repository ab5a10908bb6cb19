"""``procrastinate-conn rule``: what a code means, why it matters, and what to do."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import Annotated

import typer

from procrastinate_conn.checks.catalogue import all_rules, suggest_code
from procrastinate_conn.cli.options import FORMAT, Colour, Prefix, complete_codes
from procrastinate_conn.cli.output import Terminal, standard_output
from procrastinate_conn.problems import Example, Rule
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames

CATEGORIES = {"1": "Settings", "2": "Connection", "3": "Pool", "4": "Connector", "5": "Security"}
"""The categories of rules, by the first digit of their codes."""

MAX_WIDTH = 100
"""Columns of a paragraph on a wider terminal."""


class RuleFormat(StrEnum):
    """The formats of rules."""

    TEXT = "text"
    MARKDOWN = "markdown"


def rule(
    code: Annotated[
        str | None,
        typer.Argument(
            show_default=False, autocompletion=complete_codes, help="Such as PC301. Default: list all rules."
        ),
    ] = None,
    *,
    prefix: Prefix = None,
    output: Annotated[RuleFormat, FORMAT] = RuleFormat.TEXT,
    color: Colour = None,
) -> None:
    """Explain a code that `check` reports: what it means, why it matters, and what to do."""
    terminal = standard_output(color)
    rules = all_rules()
    if code is not None:
        if code.strip().upper() not in rules:
            raise typer.BadParameter(f"there is no rule {code!r}; {suggest_code(code)}", param_hint="CODE")
        rules = {code: rules[code.strip().upper()]}
    names = DEFAULT_NAMES if prefix is None else SettingNames(prefix)
    if output is RuleFormat.MARKDOWN:
        terminal.print(markdown(rules.values(), names))
    elif code is None:
        terminal.print(_overview(rules.values(), terminal))
    else:
        terminal.print(_explanation(rules[code], names, terminal))


def _overview(rules: Iterable[Rule], terminal: Terminal) -> str:
    lines = []
    for category, members in _by_category(rules):
        lines.append(terminal.style(category, bold=True))
        lines += [*(f"  {rule.code}  {rule.severity:<7}  {rule.title}" for rule in members), ""]
    return "\n".join([*lines, "`procrastinate-conn rule CODE` explains a rule."])


def _explanation(rule: Rule, names: SettingNames, terminal: Terminal) -> str:
    paragraphs = Terminal(width=min(terminal.width or MAX_WIDTH, MAX_WIDTH))
    sections = {
        "Why it matters": paragraphs.wrap(f"  {names.translate(rule.why)}", "  "),
        "What to do": paragraphs.wrap(f"  {names.translate(rule.fix)}", "  "),
        "Example": textwrap.indent(_example(rule.example, names), "  "),
    }
    title = f"{terminal.style(rule.code, bold=True)} {rule.severity}: {rule.title}"
    blocks = [f"{terminal.style(heading, bold=True)}\n{text}" for heading, text in sections.items()]
    return "\n\n".join([title, *blocks])


def markdown(rules: Iterable[Rule], names: SettingNames = DEFAULT_NAMES) -> str:
    """Return the rules, sorted by code, for the documentation, with the variables of `names`."""
    parts = []
    for category, members in _by_category(rules):
        parts.append(f"## {category}")
        for rule in members:
            parts += [
                f"### {rule.code}: {rule.title}",
                f"Severity: {rule.severity}",
                names.translate(rule.why),
                f"**What to do:** {names.translate(rule.fix)}",
                f"```text\n{_example(rule.example, names)}\n```",
            ]
    return "\n\n".join(parts)


def _by_category(rules: Iterable[Rule]) -> Iterator[tuple[str, Iterator[Rule]]]:
    for digit, members in groupby(rules, key=lambda rule: rule.code[2]):
        yield CATEGORIES[digit], members


def _example(example: Example, names: SettingNames) -> str:
    """Return the paragraphs of an example: its files, its other conditions, and the command."""
    files = {".env": example.env, **example.files}
    paragraphs = [f"# {name}\n{text.rstrip()}" for name, text in files.items() if text]
    if example.given:
        paragraphs.append(f"# and {example.given}" if example.env else f"# {example.given}")
    prefix = () if names.is_default else ("--prefix", names.prefix)
    paragraphs.append(f"$ {shlex.join(['procrastinate-conn', 'check', *example.arguments, *prefix])}")
    return names.translate("\n\n".join(paragraphs))
