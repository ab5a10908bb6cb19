"""Findings that another finding says better: one mistake is to be one finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules
from procrastinate_conn.rules.connector import REFUSED_BY_DRIVER
from procrastinate_conn.rules.settings import UNDEFINED_VARIABLE

WHERE_TO = ("connection.host", "connection.port")

OF_ONE_ORIGIN = {
    rules.EMPTY_DSN.code: UNDEFINED_VARIABLE.code,
    rules.IMPOSSIBLE_HOST.code: rules.SEPARATORS.code,
    rules.MISMATCHED_HOSTS.code: rules.SEPARATORS.code,
    rules.REFUSED_VALUE.code: rules.SEPARATORS.code,
    REFUSED_BY_DRIVER.code: rules.IMPOSSIBLE_HOST.code,
}
"""The code of an echo, and of the finding in the same place that says it better."""


def without_echoes(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the findings, less the echoes.

    Parameters
    ----------
    problems
        Everything that was found in one configuration.
    """
    found = {(p.code, p.origin) for p in problems}
    codes = {(p.code, p.setting) for p in problems}
    cut_wrongly = {p.origin for p in problems if p.setting in WHERE_TO}
    is_mismatched = any(code == rules.MISMATCHED_HOSTS.code for code, _ in codes)
    is_refused = (rules.REFUSED_VALUE.code, "connection.service") in codes
    for problem in problems:
        is_echo = {
            # What libpq took for a host or port was the rest of the password.
            rules.UNENCODED_PASSWORD.code: problem.origin in cut_wrongly,
            rules.HOSTADDR_OVERRIDES_HOST.code: is_mismatched,
            rules.SERVICE.code: is_refused,
        }.get(problem.code, False)
        if not is_echo and (OF_ONE_ORIGIN.get(problem.code), problem.origin) not in found:
            yield problem
