"""Drops the problems that follow from another one: one mistake is one problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from procrastinate_conn.checks.dsn import DSN_SEPARATORS, EMPTY_DSN
from procrastinate_conn.checks.file_permissions import EXPOSED_PASSWORD
from procrastinate_conn.checks.hosts import IMPOSSIBLE_HOST
from procrastinate_conn.checks.passwords import UNUSABLE_PASSWORD_FILE
from procrastinate_conn.checks.tls_files import IGNORED_TLS_FILE, UNUSABLE_TLS_FILE
from procrastinate_conn.checks.unfilled_values import UNFILLED_VALUE
from procrastinate_conn.connection.driver_support import REJECTED_BY_DRIVER
from procrastinate_conn.connection.validation import MISMATCHED_HOSTS
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.connection import HOSTADDR_OVERRIDES_HOST, REJECTED_VALUE
from procrastinate_conn.sources.dotenv import CHANGED_VALUE, UNDEFINED_VARIABLE
from procrastinate_conn.sources.dsn import MALFORMED_DSN, UNENCODED_PASSWORD
from procrastinate_conn.sources.password_file import PASSWORD_FILE_IGNORED
from procrastinate_conn.sources.service_file import UNREADABLE_SERVICE

_OF_VALUES = (
    *(IGNORED_TLS_FILE, IMPOSSIBLE_HOST, MALFORMED_DSN, PASSWORD_FILE_IGNORED, REJECTED_VALUE),
    *(UNFILLED_VALUE, UNREADABLE_SERVICE, UNUSABLE_PASSWORD_FILE, UNUSABLE_TLS_FILE),
)
_CAUSES_AT_SAME_ORIGIN = {
    (EMPTY_DSN.code, UNDEFINED_VARIABLE.code),
    *((rule.code, DSN_SEPARATORS.code) for rule in (IMPOSSIBLE_HOST, MISMATCHED_HOSTS, REJECTED_VALUE)),
    (REJECTED_BY_DRIVER.code, IMPOSSIBLE_HOST.code),
    *((rule.code, CHANGED_VALUE.code) for rule in _OF_VALUES),
}
"""The code of a problem, and that of its cause if both have the same origin."""


def deduplicate(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the problems of one configuration, without those that follow from another."""
    first_exposed = {p.message: p for p in reversed(problems) if p.code == EXPOSED_PASSWORD.code}
    for problem in problems:
        if any(_follows(problem, cause) for cause in problems):
            continue
        if first_exposed.get(problem.message, problem) is not problem:  # the same file, for another keyword
            continue
        consequences = (other for other in problems if _follows(other, problem))
        if problem.code == CHANGED_VALUE.code and any(other.severity == "error" for other in consequences):
            yield replace(problem, severity="error")
        else:
            yield problem


def _follows(problem: Problem, cause: Problem) -> bool:
    """Return whether a problem is there only because of another one."""
    has_same_origin = problem.origin == cause.origin
    if (problem.code, cause.code) in _CAUSES_AT_SAME_ORIGIN:
        return has_same_origin
    match problem.code, cause.code:
        case HOSTADDR_OVERRIDES_HOST.code, MISMATCHED_HOSTS.code:
            return True
        case UNREADABLE_SERVICE.code, REJECTED_VALUE.code:
            return cause.setting == "connection.service"
        case UNENCODED_PASSWORD.code, _:  # libpq took the rest of the password for a host or a port
            return has_same_origin and cause.setting in ("connection.host", "connection.port")
        case UNFILLED_VALUE.code, code if code != UNFILLED_VALUE.code:
            return has_same_origin and (problem.setting, problem.hint) == (cause.setting, cause.hint)
    return False
