"""Settings without effect: another source of higher precedence sets the same."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources.base import SHADOWED_SETTING


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report the settings that have no effect at all, unless they repeat the effective value."""
    yield from _check_settings(configuration)
    yield from _check_keywords(configuration)
    yield from _check_dsn(configuration)
    yield from _check_database_url(configuration)
    yield from _check_password(configuration)


def _check_settings(configuration: Configuration) -> Iterator[Problem]:
    effective: dict[tuple[str, ...], SourcedValue] = {}
    for source in configuration.sources:
        for path, sourced in source.settings.items():
            if path[0] != "connection" and _differs(first := effective.setdefault(path, sourced), sourced):
                yield _shadowed(".".join(path), sourced, first.origin)


def _check_keywords(configuration: Configuration) -> Iterator[Problem]:
    """Report the overridden keywords and variables of libpq's, but no part of a DSN or a service.

    An exception is a DSN's password that an empty one overrides, which is hardly meant. The pool's name
    still names the pool if another keyword names the sessions.
    """
    pool_names = [
        s.settings["pool", "name"].origin for s in configuration.sources if ("pool", "name") in s.settings
    ]
    for keyword, (first, *overridden) in configuration.connection.configured.items():
        for sourced in overridden:
            if sourced.origin.kind.is_shared or sourced.origin in pool_names:
                continue
            if sourced.from_dsn and not (keyword == "password" and first.value == ""):
                continue
            if _differs(first, sourced):
                yield _shadowed(f"connection.{keyword}", sourced, first.origin)


def _check_dsn(configuration: Configuration) -> Iterator[Problem]:
    """Report the DSN if every part of it is overridden."""
    dsn = configuration.settings.explicit.get("dsn")
    if dsn is None:
        return
    values = configuration.connection.configured.values()
    parts = [(sourced[0], part) for sourced in values for part in sourced if part.from_dsn]
    if parts and all(_differs(first, part) for first, part in parts):
        yield _shadowed("dsn", dsn, parts[0][0].origin)


def _check_database_url(configuration: Configuration) -> Iterator[Problem]:
    """Report a ``DATABASE_URL`` beside another DSN in the same file."""
    for source in configuration.sources:
        dsn, url = source.settings.get(("dsn",)), source.database_url
        if dsn and url and not source.kind.is_shared and _differs(dsn, url):
            yield _shadowed("dsn", url, dsn.origin)


def _check_password(configuration: Configuration) -> Iterator[Problem]:
    """Report a password beside another source of it; PGPASSWORD may be for other programs."""
    name = configuration.settings.password_setting
    password = configuration.connection.effective.get("password")
    if password is None or name in ("", "password"):
        return
    origin = password.origin
    if not (origin.kind.is_shared and (origin.name or "").upper() == "PGPASSWORD"):
        yield _shadowed("connection.password", password, configuration.settings.explicit[name].origin)


def _differs(first: SourcedValue, sourced: SourcedValue) -> bool:
    if first is sourced or first.origin.kind.is_override:
        return False
    return str(first.value) != str(sourced.value)


def _shadowed(setting: str, sourced: SourcedValue, effective: Origin) -> Problem:
    name = f"the password in {sourced.origin.name}" if sourced.from_dsn else sourced.origin.name
    message = f"{name} has no effect: {effective.kind.qualifier}{effective} comes first"
    return SHADOWED_SETTING(setting, message, hint="remove one of them", origin=sourced.origin)
