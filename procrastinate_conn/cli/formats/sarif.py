"""The format ``sarif``: SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.cli.formats.report import Finding, Report
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.problems import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report, _terminal: Terminal) -> str:
    """Return a SARIF log with one run."""
    findings = report.findings()
    codes = sorted({finding.problem.code for finding in findings})
    driver = {
        "name": "procrastinate-conn",
        "version": version("procrastinate-conn"),
        "rules": [_rule(all_rules()[code]) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "exitCode": 0 if report.ok else 1}],
        "results": [_result(finding, codes.index(finding.problem.code)) for finding in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    problem = finding.problem
    return {
        "ruleId": problem.code,
        "ruleIndex": rule_index,
        "level": problem.severity,
        "message": {"text": finding.sentence},
        "locations": [_location(finding)],
    }


def _location(finding: Finding) -> dict[str, Any]:
    """Locate a finding by file and line, and by the name of the setting.

    GitHub rejects a log with a result without a file.
    """
    origin = finding.problem.origin
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if origin and origin.line:
        physical["region"] = {"startLine": origin.line}
    return {
        "logicalLocations": [{"fullyQualifiedName": finding.problem.setting, "kind": "member"}],
        "physicalLocation": physical,
    }


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
