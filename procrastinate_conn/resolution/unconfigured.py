"""Nothing is set at all: the connection is one of defaults, on whichever server they find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from procrastinate_conn import suggestions
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.resolution.connection import ResolvedConnection
from procrastinate_conn.setting_names import DEFAULT_NAMES
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.environment import LIBPQ_ALONE

NOTHING_SET = Rule(
    "PC113",
    "nothing set at all",
    "libpq's defaults are a server on this machine and the operating system's user, which is hardly meant;"
    " a missing .env looks just like it.",
    "Set the DSN in one of the places that the message names.",
    severity="warning",
    example=Example(arguments=(), given="nothing is set in the environment and there is no .env"),
)


def _is_unconfigured(sources: Sequence[Source], connection: ResolvedConnection) -> bool:
    """Tell whether everything is left to defaults; a connector alone describes no connection."""
    return (
        all(path == ("connector",) and s.kind.is_override for s in sources for path in s.settings)
        and not any(source.database_url for source in sources)
        and all(values[0].origin.kind.is_default for values in connection.configured.values())
    )


def validate_anything_set(
    sources: Sequence[Source], connection: ResolvedConnection, parameters: Mapping[str, str]
) -> Iterator[Problem]:
    """Report that nothing is set, or that all that is set has a misspelt prefix.

    The `parameters` are what all the defaults come to, by keyword.
    """
    if found := _found_elsewhere(sources, connection):
        yield found
        return
    if not _is_unconfigured(sources, connection):
        return
    if misspelt := [problem for source in sources for problem in source.misspelt]:
        yield from (replace(problem, severity="error") for problem in misspelt)
        return
    if any(source.problems for source in sources):
        return
    names = next((s.names for s in sources if s.names != DEFAULT_NAMES), DEFAULT_NAMES)
    places = ", ".join(dict.fromkeys(source.place for source in sources if source.place)) or "the arguments"
    come_to = " ".join(f"{keyword}={parameters[keyword]}" for keyword in _SHOWN if parameters.get(keyword))
    message = f"nothing is set in {places}; the defaults come to {come_to}"
    if not parameters.get("host"):
        message += " on this machine"
    hint = "set dsn"
    if names != DEFAULT_NAMES or any(s.kind.syntax == "variable" and s.place != LIBPQ_ALONE for s in sources):
        hint = f"set {names.variable(('dsn',))}, or name the file that does"
    yield NOTHING_SET("dsn", message, hint=hint)


def _found_elsewhere(sources: Sequence[Source], connection: ResolvedConnection) -> Problem | None:
    """Return a problem if nothing describes the connection, and variables of other programs do."""
    is_meant = any(s.dsn or s.database_url or s.misspelt or s.problems for s in sources)
    if is_meant or any(not values[0].origin.kind.is_default for values in connection.configured.values()):
        return None
    if found := _without_section(sources):
        return found
    for source in sources:
        parts: dict[str, SourcedValue] = {}
        for name, sourced in source.elsewhere.items():
            if part := suggestions.connection_part(name.upper(), str(sourced.value)):
                parts.setdefault(part, sourced)
        is_mysql = "port" in parts and str(parts["port"].value) == "3306"
        if "dsn" in parts or (len(parts) > 1 and parts.keys() & {"host", "dbname"} and not is_mysql):
            return _elsewhere(parts, source)
    return None


def _without_section(sources: Sequence[Source]) -> Problem | None:
    """Return a problem if words under a prefix of the application's seem to describe the connection."""
    words: dict[str, tuple[str, SourcedValue]] = {}
    for source in sources:
        names = source.names
        for name, sourced in source.elsewhere.items():
            path = names.path(name) or ()
            if names.prefix and len(path) == 1 and (part := suggestions.address_part(path[0])):
                words.setdefault(part, (names.variable(part.split(".")), sourced))
    if not words.keys() - {"connection.port"}:  # it may be that of a web server
        return None
    hint = f"write {', '.join(variable for variable, _ in words.values())}"
    values = [sourced for _, sourced in words.values()]
    return NOTHING_SET("dsn", _unread(values), hint=hint, origin=values[0].origin)


def _unread(values: Iterable[SourcedValue]) -> str:
    places = ", ".join(str(sourced.origin) for sourced in values)
    return f"nothing is set for procrastinate-conn, and what is set as {places} is not read"


def _elsewhere(parts: Mapping[str, SourcedValue], source: Source) -> Problem:
    if "dsn" in parts:
        parts = {"dsn": parts["dsn"]}
    written = {part: f"${{{sourced.origin.name}}}" for part, sourced in parts.items()}
    file, dsn = written.pop("password_file", ""), written.get("dsn")
    if dsn and str(parts["dsn"].value).startswith("jdbc:"):
        dsn = "postgresql://user:password@host/database"
    dsn = dsn or '"{}"'.format(" ".join(f"{part}='{reference}'" for part, reference in written.items()))
    hint = f"write {source.names.variable(('dsn',))}={dsn}"
    if file:
        hint += f", and {source.names.variable(('password_file',))}={file}"
    origin = next(iter(parts.values())).origin
    return NOTHING_SET("dsn", _unread(parts.values()), hint=hint, origin=origin)


_SHOWN = ("user", "host", "port", "dbname")
