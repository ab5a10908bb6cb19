"""Settings without effect, whatever other places set: the same place overrides them.

A setting that another place overrides is no finding: that is what the other place is for.
"""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.settings import PASSWORD_SOURCES
from procrastinate_conn.sources.base import SHADOWED_SETTING


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report the settings that have no effect and another value; whatever a call has is meant."""
    dsn = configuration.connection.dsn
    for source in configuration.sources:
        if source.kind.is_override:
            continue
        keywords = source.section("connection")
        parts = dsn.parameters if dsn and source.dsn is dsn.sourced else {}
        overriding = {k: keywords[k] for k, part in parts.items() if _differs(keywords.get(k), part)}
        if dsn and parts and overriding.keys() == parts.keys():
            yield _shadowed("dsn", dsn.sourced, next(iter(overriding.values())))
        elif "password" in overriding and not overriding["password"].value:
            yield _shadowed("connection.password", parts["password"], overriding["password"])
        url = source.database_url  # with the default prefix it has other readers
        if url and source.dsn and not source.names.is_default and _differs(source.dsn, url):
            yield _shadowed("dsn", url, source.dsn)
        password = keywords.get("password") or parts.get("password")
        read = next((source.settings[(n,)] for n in PASSWORD_SOURCES if (n,) in source.settings), None)
        if password and password.value and read:
            yield _shadowed("connection.password", password, read)


def _differs(first: SourcedValue | None, sourced: SourcedValue) -> bool:
    return first is not None and str(first.value) != str(sourced.value)


def _shadowed(setting: str, sourced: SourcedValue, effective: SourcedValue) -> Problem:
    name = f"the password in {sourced.origin.name}" if sourced.from_dsn else sourced.origin.name
    message = f"{name} has no effect: {effective.origin} comes first"
    return SHADOWED_SETTING(setting, message, hint="remove one of them", origin=sourced.origin)
