"""The format ``json``: every configuration with its problems."""

from __future__ import annotations

import json
from dataclasses import asdict

from procrastinate_conn.cli.formats.report import Report
from procrastinate_conn.cli.output import Terminal


def render(report: Report, _terminal: Terminal) -> str:
    """Return a JSON document."""
    configurations = [
        {
            "file": result.file,
            "prefix": result.target.prefix,
            "settings": result.target.settings,
            "ok": report.passes(result),
            "connector": result.connector,
            "problems": [asdict(problem) for problem in result.problems],
        }
        for result in report.results
    ]
    return json.dumps({"ok": report.ok, "configurations": configurations}, indent=1)
