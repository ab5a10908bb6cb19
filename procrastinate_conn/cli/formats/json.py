"""The format ``json``: every configuration with its problems, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from procrastinate_conn.checks.runner import CheckResult
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.cli.report import Report


def render(report: Report, _terminal: Terminal) -> str:
    """Return a JSON document."""
    document = {
        "ok": report.ok,
        "configurations": [_configuration(checked, report) for checked in report.configurations],
    }
    return json.dumps(document, indent=1)


def _configuration(checked: CheckResult, report: Report) -> dict[str, Any]:
    return {
        "file": checked.file,
        "ok": report.is_in_order(checked),
        "connector": checked.connector,
        "problems": [asdict(problem) for problem in checked.problems],
    }
