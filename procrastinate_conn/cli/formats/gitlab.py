"""The format ``gitlab``: a code quality report, which GitLab shows in merge requests."""

from __future__ import annotations

import json
import os
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

from procrastinate_conn.cli.formats.report import Finding, Report
from procrastinate_conn.cli.output import Terminal

SEVERITIES = {"error": "major", "warning": "minor"}
"""GitLab's severities, of five."""


def render(report: Report, _terminal: Terminal) -> str:
    """Return a JSON array with an object for each finding."""
    seen: Counter[tuple[str, ...]] = Counter()
    return json.dumps([_issue(finding, seen) for finding in report.findings()], indent=1)


def _issue(finding: Finding, seen: Counter[tuple[str, ...]]) -> dict[str, Any]:
    problem, path = finding.problem, _path(finding.file)
    # GitLab compares the fingerprints of two branches: a line that only moves is no new finding.
    identity = (path, problem.code, problem.setting, problem.message)
    seen[identity] += 1
    fingerprint = "\0".join((*identity, str(seen[identity]))).encode("utf-8", "surrogatepass")
    return {
        "description": finding.sentence,
        "check_name": problem.code,
        "fingerprint": sha256(fingerprint).hexdigest(),
        "severity": SEVERITIES[problem.severity],
        "location": {"path": path, "lines": {"begin": (problem.origin and problem.origin.line) or 1}},
    }


def _path(file: str) -> str:
    """Return a path as GitLab needs it: relative to the repository, without ``./``."""
    path = Path(os.path.normpath(file))
    root = os.environ.get("CI_PROJECT_DIR")
    if root and (absolute := Path(os.path.abspath(file))).is_relative_to(root):  # noqa: PTH100 - links stay
        path = absolute.relative_to(root)
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")
