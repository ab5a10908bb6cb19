"""The formats of findings: a module for each, and a line here.

The module of a format has one function, ``render(report, terminal)``, that returns the output.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module

from procrastinate_conn.cli.formats.report import Report
from procrastinate_conn.cli.output import Terminal


class FindingsFormat(StrEnum):
    """The formats, named like their modules."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"
    SARIF = "sarif"


def render(report: Report, output: FindingsFormat, terminal: Terminal) -> str:
    """Render a report; only the module of the format is imported."""
    text: str = import_module(f"{__name__}.{output}").render(report, terminal)
    return text
