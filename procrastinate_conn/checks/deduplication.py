"""Findings that another finding says better: one mistake is to be one finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from procrastinate_conn.checks.dsn_separators import DSN_SEPARATORS
from procrastinate_conn.checks.empty_dsn import EMPTY_DSN
from procrastinate_conn.checks.hosts import IMPOSSIBLE_HOST
from procrastinate_conn.connection.driver_support import REJECTED_BY_DRIVER
from procrastinate_conn.connection.validation import MISMATCHED_HOSTS
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.connection import HOSTADDR_OVERRIDES_HOST, REJECTED_VALUE
from procrastinate_conn.sources.dotenv import UNDEFINED_VARIABLE
from procrastinate_conn.sources.dsn import UNENCODED_PASSWORD
from procrastinate_conn.sources.service_file import UNREADABLE_SERVICE

WHERE_TO = ("connection.host", "connection.port")

OF_ONE_ORIGIN = {
    EMPTY_DSN.code: UNDEFINED_VARIABLE.code,
    IMPOSSIBLE_HOST.code: DSN_SEPARATORS.code,
    MISMATCHED_HOSTS.code: DSN_SEPARATORS.code,
    REJECTED_VALUE.code: DSN_SEPARATORS.code,
    REJECTED_BY_DRIVER.code: IMPOSSIBLE_HOST.code,
}
"""The code of an echo, and of the finding in the same place that says it better."""


def deduplicate(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the findings, less the echoes.

    Parameters
    ----------
    problems
        Everything that was found in one configuration.
    """
    found = {(p.code, p.origin) for p in problems}
    codes = {(p.code, p.setting) for p in problems}
    cut_wrongly = {p.origin for p in problems if p.setting in WHERE_TO}
    is_mismatched = any(code == MISMATCHED_HOSTS.code for code, _ in codes)
    is_refused = (REJECTED_VALUE.code, "connection.service") in codes
    for problem in problems:
        is_echo = {
            # What libpq took for a host or port was the rest of the password.
            UNENCODED_PASSWORD.code: problem.origin in cut_wrongly,
            HOSTADDR_OVERRIDES_HOST.code: is_mismatched,
            UNREADABLE_SERVICE.code: is_refused,
        }.get(problem.code, False)
        if not is_echo and (OF_ONE_ORIGIN.get(problem.code), problem.origin) not in found:
            yield problem
