"""``procrastinate-conn rule``: what a code means, why it matters, and what to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.cli.options import Colour, complete_codes, suggest_code
from procrastinate_conn.cli.output import standard_output
from procrastinate_conn.cli.rule_text import described, listed, markdown


class RuleFormat(StrEnum):
    """How rules are printed."""

    TEXT = "text"
    MARKDOWN = "markdown"


def rule(
    code: Annotated[
        str | None,
        typer.Argument(
            show_default=False, autocompletion=complete_codes, help="Such as PC301. None: list them all."
        ),
    ] = None,
    *,
    output: Annotated[RuleFormat, typer.Option("--format", help="How it is printed.")] = RuleFormat.TEXT,
    color: Colour = None,
) -> None:
    """Explain a code that `check` reports: what it means, why it matters, and what to do."""
    where = standard_output(color)
    rules = all_rules()
    if code is not None and code.strip().upper() not in rules:
        raise typer.BadParameter(f"there is no rule {code!r}; {suggest_code(code)}", param_hint="CODE")
    wanted = list(rules.values()) if code is None else [rules[code.strip().upper()]]
    if output is RuleFormat.MARKDOWN:
        where.print(markdown(wanted))
    elif code is None:
        where.print(listed(wanted, where))
    else:
        where.print(described(wanted[0], where))
