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

_CAUSES = {
    EMPTY_DSN.code: UNDEFINED_VARIABLE.code,
    IMPOSSIBLE_HOST.code: DSN_SEPARATORS.code,
    MISMATCHED_HOSTS.code: DSN_SEPARATORS.code,
    REJECTED_VALUE.code: DSN_SEPARATORS.code,
    REJECTED_BY_DRIVER.code: IMPOSSIBLE_HOST.code,
}
"""The code of a problem, and that of its cause if both have the same origin."""


_OF_VALUES = frozenset(
    rule.code
    for rule in (
        *(IGNORED_TLS_FILE, IMPOSSIBLE_HOST, MALFORMED_DSN, PASSWORD_FILE_IGNORED, REJECTED_VALUE),
        *(UNFILLED_VALUE, UNREADABLE_SERVICE, UNUSABLE_PASSWORD_FILE, UNUSABLE_TLS_FILE),
    )
)
"""The codes of problems that follow if an env file has changed the value."""


def deduplicate(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the problems of one configuration, without those that follow from another."""
    codes_and_origins = {(problem.code, problem.origin) for problem in problems}
    codes = {problem.code for problem in problems}
    explained = {(p.setting, p.origin, p.hint) for p in problems if p.code != UNFILLED_VALUE.code}
    wrong_hosts = {p.origin for p in problems if p.setting in ("connection.host", "connection.port")}
    invalid = {p.origin for p in problems if p.code in _OF_VALUES and p.severity == "error"}
    exposed = {p.message: p for p in reversed(problems) if p.code == EXPOSED_PASSWORD.code}  # by their file
    has_invalid_service = any(
        p.code == REJECTED_VALUE.code and p.setting == "connection.service" for p in problems
    )
    for problem in problems:
        follows = {
            # libpq took the rest of the password for a host or a port.
            UNENCODED_PASSWORD.code: problem.origin in wrong_hosts,
            EXPOSED_PASSWORD.code: exposed.get(problem.message) is not problem,
            HOSTADDR_OVERRIDES_HOST.code: MISMATCHED_HOSTS.code in codes,
            UNREADABLE_SERVICE.code: has_invalid_service,
            UNFILLED_VALUE.code: (problem.setting, problem.origin, problem.hint) in explained,
        }.get(problem.code, False)
        if problem.code in _OF_VALUES:
            follows = follows or (CHANGED_VALUE.code, problem.origin) in codes_and_origins
        elif problem.code == CHANGED_VALUE.code and problem.origin in invalid:
            problem = replace(problem, severity="error")  # noqa: PLW2901 - it stands for the one that follows
        if not follows and (_CAUSES.get(problem.code), problem.origin) not in codes_and_origins:
            yield problem
