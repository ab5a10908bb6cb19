"""What `check` judges beyond what a connector needs to be built: security, files, settings without effect.

A judge is a function from a configuration to findings, in a module of its own and a line here.
"""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.checks import dsn_separators as separators
from procrastinate_conn.checks import empty_dsn, hosts, options, passwords, tls, tls_files
from procrastinate_conn.checks import file_permissions as exposure
from procrastinate_conn.checks import shadowed as overridden
from procrastinate_conn.checks import target_session as read_only
from procrastinate_conn.checks import time_units as units
from procrastinate_conn.checks import unfilled_values as leftovers
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem

CHECKS = (
    empty_dsn.check,
    separators.check,
    hosts.check,
    leftovers.check,
    options.check,
    read_only.check,
    units.check,
    tls.check,
    tls_files.check,
    passwords.check,
    exposure.check,
    overridden.check,
)

OF_THE_CONNECTION = (tls.check,)
"""Those that judge where everything together leads to; nothing is known of that if a part was not read."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Let every judge judge.

    Parameters
    ----------
    configuration
        Resolved; it may have errors.
    """
    problems = [*configuration.connection.problems, *hosts.check(configuration)]
    is_read = not any(problem.severity == "error" for problem in problems)
    for check_one in CHECKS:
        if is_read or check_one not in OF_THE_CONNECTION:
            yield from check_one(configuration)
