"""What `check` says of the settings, before any server is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from procrastinate_conn.doctor.result import Result, failed, passed, warned
from procrastinate_conn.problems import Problem


def examine(problems: Iterable[Problem]) -> Iterator[Result]:
    """Report each problem, or that there is none.

    Parameters
    ----------
    problems
        What `check` has found.
    """
    found = list(problems)
    for problem in found:
        report = failed if problem.severity == "error" else warned
        place = f"{problem.origin}: " if problem.origin else ""
        message = f"{place}{problem.code} {problem.message}"
        yield report("settings", message, problem.hint, value=problem.code)
    if not found:
        yield passed("settings", "in order")
