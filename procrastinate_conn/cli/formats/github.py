"""The format ``github``: workflow commands that annotate the lines of a pull request."""

from __future__ import annotations

from procrastinate_conn.cli.formats.report import Finding, Report
from procrastinate_conn.cli.output import Terminal


def render(report: Report, _terminal: Terminal) -> str:
    """Return a workflow command for each finding."""
    return "\n".join(map(_command, report.findings()))


def _command(finding: Finding) -> str:
    problem, origin = finding.problem, finding.problem.origin
    properties = {
        "file": origin.file if origin else finding.configuration,
        "line": str(origin.line) if origin and origin.line else None,
        "title": problem.code,
    }
    joined = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items() if value)
    return f"::{problem.severity} {joined}::{_escape(finding.sentence)}"


def _escape(text: str) -> str:
    """Escape as GitHub's actions/toolkit does: a command is one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
