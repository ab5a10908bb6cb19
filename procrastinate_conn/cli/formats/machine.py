"""The formats for programs: a function for each, and a line in `RENDERERS`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.cli.formats import Finding, Report

GITLAB_SEVERITIES = {"error": "major", "warning": "minor"}
"""GitLab's severities, of five."""

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render_json(report: Report) -> str:
    """Return every configuration with its problems."""
    configurations = [
        {
            "file": None if result.target.file is None else str(result.target.file),
            "prefix": result.target.prefix,
            "settings": result.target.settings,
            "ok": report.passes(result),
            "connector": result.connector,
            "problems": [asdict(problem) for problem in result.problems],
        }
        for result in report.results
    ]
    return json.dumps({"ok": report.ok, "configurations": configurations}, indent=1)


def render_github(report: Report) -> str:
    """Return workflow commands that annotate the lines of a pull request."""
    return "\n".join(map(_github_command, report.findings()))


def _github_command(finding: Finding) -> str:
    """Return one line, escaped as GitHub's actions/toolkit does."""
    problem, origin = finding.problem, finding.problem.origin
    properties = {
        "file": origin.file if origin else finding.target.file,
        "line": origin and origin.line,
        "title": problem.code,
    }
    in_property = {ord(":"): "%3A", ord(","): "%2C"}
    in_line = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
    joined = ",".join(f"{k}={str(v).translate(in_line | in_property)}" for k, v in properties.items() if v)
    return f"::{problem.severity} {joined}::{finding.sentence.translate(in_line)}"


def render_gitlab(report: Report) -> str:
    """Return a code quality report, which GitLab shows in merge requests."""
    seen: Counter[tuple[str, ...]] = Counter()
    issues = []
    for finding in report.findings():
        problem, path = finding.problem, _gitlab_path(finding.file)
        # GitLab compares the fingerprints of two branches: a line that only moves is no new finding.
        identity = (path, problem.code, problem.setting, problem.message)
        seen[identity] += 1
        fingerprint = "\0".join((*identity, str(seen[identity]))).encode("utf-8", "surrogatepass")
        line = (problem.origin and problem.origin.line) or 1
        issues.append(
            {
                "description": finding.sentence,
                "check_name": problem.code,
                "fingerprint": sha256(fingerprint).hexdigest(),
                "severity": GITLAB_SEVERITIES[problem.severity],
                "location": {"path": path, "lines": {"begin": line}},
            }
        )
    return json.dumps(issues, indent=1)


def _gitlab_path(file: str) -> str:
    """Return a path as GitLab needs it: relative to the repository, without ``./``."""
    path = Path(os.path.normpath(file))
    root = os.environ.get("CI_PROJECT_DIR")
    if root and (absolute := Path(os.path.abspath(file))).is_relative_to(root):  # noqa: PTH100 - links stay
        path = absolute.relative_to(root)
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def render_sarif(report: Report) -> str:
    """Return a log of SARIF 2.1.0 with one run, for code scanning."""
    findings = report.findings()
    codes = sorted({finding.problem.code for finding in findings})
    rules = [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.fix},
            "defaultConfiguration": {"level": rule.severity},
        }
        for rule in map(all_rules().__getitem__, codes)
    ]
    results = [
        {
            "ruleId": finding.problem.code,
            "ruleIndex": codes.index(finding.problem.code),
            "level": finding.problem.severity,
            "message": {"text": finding.sentence},
            "locations": [_sarif_location(finding)],
        }
        for finding in findings
    ]
    name = "procrastinate-conn"
    run = {
        "tool": {"driver": {"name": name, "version": version(name), "rules": rules}},
        "invocations": [{"executionSuccessful": True, "exitCode": 0 if report.ok else 1}],
        "results": results,
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _sarif_location(finding: Finding) -> dict[str, Any]:
    """Locate a finding by file, without which GitHub rejects a log, by line, and by the setting's name."""
    origin, path = finding.problem.origin, Path(finding.file)
    uri = path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if origin and origin.line:
        physical["region"] = {"startLine": origin.line}
    return {
        "logicalLocations": [{"fullyQualifiedName": finding.problem.setting, "kind": "member"}],
        "physicalLocation": physical,
    }


RENDERERS: Mapping[str, Callable[[Report], str]] = {
    "json": render_json,
    "github": render_github,
    "gitlab": render_gitlab,
    "sarif": render_sarif,
}
