"""Settings without effect, whatever other places set: the same place overrides them.

A setting that another place overrides is no finding: that is what the other place is for.
"""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.settings import PASSWORD_SOURCES
from procrastinate_conn.sources.base import SHADOWED_SETTING, Source


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report the settings that have no effect and another value; whatever a call has is meant."""
    for source in configuration.sources:
        if not source.kind.is_override:
            yield from _check_dsn(source, configuration)
            yield from _check_database_url(source)
            yield from _check_password(source, configuration)


def _check_dsn(source: Source, configuration: Configuration) -> Iterator[Problem]:
    """Report a DSN if every part of it is overridden, or if its password is, with an empty one."""
    dsn = configuration.connection.dsn
    if dsn is None or source.dsn is not dsn.sourced:
        return
    keywords = source.section("connection")
    overriding = {k: keywords[k] for k, part in dsn.parameters.items() if _differs(keywords.get(k), part)}
    if dsn.parameters and overriding.keys() == dsn.parameters.keys():
        yield _shadowed("dsn", dsn.sourced, next(iter(overriding.values())))
    elif "password" in overriding and not overriding["password"].value:
        name = f"the password in {dsn.sourced.origin.name}"
        yield _shadowed("connection.password", dsn.sourced, overriding["password"], name)


def _check_database_url(source: Source) -> Iterator[Problem]:
    """Report a ``<PREFIX>DATABASE_URL`` beside a DSN; a ``DATABASE_URL`` has other readers."""
    url = source.database_url
    if url and source.dsn and not source.names.is_default and _differs(source.dsn, url):
        yield _shadowed("dsn", url, source.dsn)


def _check_password(source: Source, configuration: Configuration) -> Iterator[Problem]:
    """Report a password beside the setting that another one is read with."""
    dsn = configuration.connection.dsn
    password, name = source.section("connection").get("password"), None
    if not password and dsn and source.dsn is dsn.sourced and (password := dsn.parameters.get("password")):
        name = f"the password in {password.origin.name}"
    read = next((source.settings[(n,)] for n in PASSWORD_SOURCES if (n,) in source.settings), None)
    if password and password.value and read:
        yield _shadowed("connection.password", password, read, name)


def _differs(first: SourcedValue | None, sourced: SourcedValue) -> bool:
    return first is not None and str(first.value) != str(sourced.value)


def _shadowed(
    setting: str, sourced: SourcedValue, effective: SourcedValue, name: str | None = None
) -> Problem:
    message = f"{name or sourced.origin.name} has no effect: {effective.origin} comes first"
    return SHADOWED_SETTING(setting, message, hint="remove one of them", origin=sourced.origin)
