"""The formats of findings: text, and those for programs."""

from __future__ import annotations

from enum import StrEnum

from procrastinate_conn.cli.formats.report import Report
from procrastinate_conn.cli.output import Terminal


class FindingsFormat(StrEnum):
    """The formats."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"
    SARIF = "sarif"


def render(report: Report, output: FindingsFormat, terminal: Terminal) -> str:
    """Render a report; only what the format needs is imported."""
    if output is FindingsFormat.TEXT:
        from procrastinate_conn.cli.formats import text

        return text.render(report, terminal)
    from procrastinate_conn.cli.formats import machine

    return machine.RENDERERS[output](report)
