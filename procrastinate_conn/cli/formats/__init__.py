"""How findings are reported: a module for each format, and a line here.

A format is a module with one function, ``render(report, terminal)``, that returns what is printed.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module

from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.cli.report import Report


class Format(StrEnum):
    """The formats, each after the module that renders it."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def render(report: Report, output: Format, terminal: Terminal) -> str:
    """Render a report; only the module of the format is imported.

    Parameters
    ----------
    report
        What was found.
    output
        The format.
    terminal
        Where it is printed.
    """
    text: str = import_module(f"{__name__}.{output}").render(report, terminal)
    return text
