"""Settings that change nothing, because another place states the same and comes first."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.checks.passwords import source_in_force
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources.base import SHADOWED_SETTING


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield the settings that have no effect at all; one that repeats the value in force is let be.

    Parameters
    ----------
    configuration
        An argument of the call or the command overrides on purpose.
    """
    yield from _settings(configuration)
    yield from _keywords(configuration)
    yield from _dsn(configuration)
    yield from _database_url(configuration)
    yield from _password(configuration)


def _settings(configuration: Configuration) -> Iterator[Problem]:
    """Yield what a farther place says of a setting that a nearer one states too."""
    nearest: dict[tuple[str, ...], SourcedValue] = {}
    for source in configuration.sources:
        for path, sourced in source.settings.items():
            if path[0] != "connection" and _differs(first := nearest.setdefault(path, sourced), sourced):
                yield _without_effect(".".join(path), sourced, first.origin)


def _keywords(configuration: Configuration) -> Iterator[Problem]:
    """Yield the single keywords and variables of libpq's that lost, but no part of a DSN or a service.

    A DSN's password that lost against an empty one probably was not meant to. The pool's name, which is
    offered as the sessions' too, still names the pool.
    """
    names = [sourced.origin for sourced in _stated(configuration, ("pool", "name"))]
    for keyword, (first, *others) in configuration.connection.configured.items():
        for sourced in others:
            if sourced.origin.kind.is_shared or sourced.origin in names:
                continue
            if sourced.from_dsn and not (keyword == "password" and first.value == ""):
                continue
            if _differs(first, sourced):
                yield _without_effect(f"connection.{keyword}", sourced, first.origin)


def _dsn(configuration: Configuration) -> Iterator[Problem]:
    """Yield the DSN of which every part lost."""
    dsn = configuration.settings.explicit.get("dsn")
    if dsn is None:
        return
    values = configuration.connection.configured.values()
    parts = [(stated[0], part) for stated in values for part in stated if part.from_dsn]
    if parts and all(_differs(first, part) for first, part in parts):
        yield _without_effect("dsn", dsn, parts[0][0].origin)


def _database_url(configuration: Configuration) -> Iterator[Problem]:
    """Yield the ``DATABASE_URL`` that stands in a file beside another DSN."""
    for source in configuration.sources:
        dsn, url = source.settings.get(("dsn",)), source.database_url
        if dsn and url and not source.kind.is_shared and _differs(dsn, url):
            yield _without_effect("dsn", url, dsn.origin)


def _password(configuration: Configuration) -> Iterator[Problem]:
    """Yield the password that is stated beside another source of the password."""
    name, source = source_in_force(configuration)
    password = configuration.connection.effective.get("password")
    if source is None or password is None or name == "password":
        return
    if not password.origin.kind.is_shared or (password.origin.name or "").upper() != "PGPASSWORD":
        yield _without_effect("connection.password", password, source.origin)


def _stated(configuration: Configuration, path: tuple[str, ...]) -> Iterator[SourcedValue]:
    return (source.settings[path] for source in configuration.sources if path in source.settings)


def _differs(first: SourcedValue, sourced: SourcedValue) -> bool:
    return (
        first is not sourced and not first.origin.kind.is_override and str(first.value) != str(sourced.value)
    )


def _without_effect(setting: str, sourced: SourcedValue, first: Origin) -> Problem:
    here = sourced.origin
    what = f"the password in {here.name} has" if sourced.from_dsn else f"{here.name} has"
    return SHADOWED_SETTING(
        setting,
        f"{what} no effect: {first.kind.qualifier}{first} comes first",
        hint="remove one of them",
        origin=here,
    )
