"""What is set and not read: misspelt variables, those of other programs, and nothing set at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.origins import ENVIRONMENT, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.resolution.connection import ResolvedConnection
from procrastinate_conn.setting_names import DEFAULT_NAMES
from procrastinate_conn.sources.base import Source, shown_names
from procrastinate_conn.sources.variables import LIBPQ_ALONE, LIKELY_MISSPELT_VARIABLE

SESSION_VARIABLE = Rule(
    "PC212",
    "variable of the session in an env file",
    "libpq reads PGTZ, PGDATESTYLE and PGGEQO from the process environment alone.",
    "Set it in options: -c timezone=UTC.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1/jobs\nPGTZ=UTC"),
    fault_in="name",
)

NOTHING_SET = Rule(
    "PC113",
    "nothing set at all",
    "libpq's defaults are a server on this machine and the operating system's user, which is hardly meant;"
    " a missing .env looks just like it.",
    "Set the DSN in one of the places that the message names.",
    severity="warning",
    example=Example(arguments=(), given="nothing is set in the environment and there is no .env"),
)

_NO_KEYWORD = (*libpq.SESSION_VARIABLES, "PGLOCALEDIR", "PGREQUIRESSL", "PGSERVICEFILE", "PGSYSCONFDIR")
_OF_SERVERS = ("PGCLUSTER", "PGDATA", "PGROOT", "PGVERSION")  # and of tools, which libpq does not read


def validate_variables(sources: Sequence[Source], configured: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each variable that libpq does not read, and that seems to be for it.

    If its keyword is configured elsewhere, a ``PG_HOST`` may be a part of that, such as of a DSN.
    """
    keywords = libpq.variables()
    known = keywords.keys() | set(_NO_KEYWORD)
    for source in sources:
        for problem in source.misspelt:
            section, _, keyword = problem.setting.partition(".")
            if section == "connection" and keyword not in configured:
                yield problem
        for name, sourced in source.variables.items():
            if name in libpq.SESSION_VARIABLES and source.kind != ENVIRONMENT:
                message = f"libpq does not read {name} from an env file"
                hint = "set it in the process environment, or write it as an option of the connection"
                yield SESSION_VARIABLE(name, message, hint=hint, origin=sourced.origin)
            elif name not in known and name not in _OF_SERVERS:
                near = suggestions.pg_variable(name, known, source.names)
                if near and not (name.startswith("PG_") and keywords.get(near) in configured):
                    message, hint = f"libpq does not know {name}", f"did you mean {near}?"
                    yield LIKELY_MISSPELT_VARIABLE(name, message, hint=hint, origin=sourced.origin)


def validate_anything_set(
    sources: Sequence[Source], connection: ResolvedConnection, parameters: Mapping[str, str]
) -> Iterator[Problem]:
    """Report that nothing is set, that other programs' variables are, or that all have a misspelt prefix.

    The `parameters` are what all the defaults come to, by keyword.
    """
    if any(not values[0].origin.kind.is_default for values in connection.configured.values()):
        return
    unread = (_under_prefix(sources), *map(_of_other_programs, sources))
    is_mistaken = any(s.dsn or s.database_url or s.misspelt or s.problems for s in sources)
    if not is_mistaken and (problem := next(filter(None, unread), None)):
        yield problem
        return
    is_connector = (path == ("connector",) and s.kind.is_override for s in sources for path in s.settings)
    if any(source.database_url for source in sources) or not all(is_connector):
        return  # a connector alone describes no connection
    if misspelt := [problem for source in sources for problem in source.misspelt]:
        yield from (replace(problem, severity="error") for problem in misspelt)
        return
    if any(source.problems for source in sources):
        return
    names = shown_names(sources)
    places = ", ".join(dict.fromkeys(source.place for source in sources if source.place)) or "the arguments"
    shown = ("user", "host", "port", "dbname")
    come_to = " ".join(f"{keyword}={parameters[keyword]}" for keyword in shown if parameters.get(keyword))
    message = f"nothing is set in {places}; the defaults come to {come_to}"
    if not parameters.get("host"):
        message += " on this machine"
    hint = "set dsn"
    if names != DEFAULT_NAMES or any(s.kind.syntax == "variable" and s.place != LIBPQ_ALONE for s in sources):
        hint = f"set {names.variable(('dsn',))}, or name the file that does"
    yield NOTHING_SET("dsn", message, hint=hint)


def _under_prefix(sources: Sequence[Source]) -> Problem | None:
    """Return a problem if words under a prefix of the application's seem to describe the connection."""
    words: dict[str, tuple[str, SourcedValue]] = {}
    for source in sources:
        for name, sourced in source.elsewhere.items():
            if part := suggestions.address_part(source.names.path(name) or (), source.names):
                words.setdefault(part, (source.names.variable(part.split(".")), sourced))
    if not words.keys() - {"connection.port"}:  # it may be that of a web server
        return None
    hint = f"write {', '.join(variable for variable, _ in words.values())}"
    return _unread([sourced for _, sourced in words.values()], hint)


def _of_other_programs(source: Source) -> Problem | None:
    """Return a problem if variables of other programs describe the connection."""
    parts: dict[str, SourcedValue] = {}
    for name, sourced in source.elsewhere.items():
        if part := suggestions.connection_part(name.upper(), str(sourced.value)):
            parts.setdefault(part, sourced)
    is_mysql = "port" in parts and str(parts["port"].value) == "3306"
    if "dsn" in parts:
        parts = {"dsn": parts["dsn"]}
    elif len(parts) < 2 or not parts.keys() & {"host", "dbname"} or is_mysql:
        return None
    written = {part: f"${{{sourced.origin.name}}}" for part, sourced in parts.items()}
    file, dsn = written.pop("password_file", ""), written.get("dsn")
    if dsn and str(parts["dsn"].value).startswith("jdbc:"):
        dsn = "postgresql://user:password@host/database"
    dsn = dsn or '"{}"'.format(" ".join(f"{part}='{reference}'" for part, reference in written.items()))
    hint = f"write {source.names.variable(('dsn',))}={dsn}"
    if file:
        hint += f", and {source.names.variable(('password_file',))}={file}"
    return _unread(list(parts.values()), hint)


def _unread(values: Sequence[SourcedValue], hint: str) -> Problem:
    places = ", ".join(str(sourced.origin) for sourced in values)
    message = f"nothing is set for procrastinate-conn, and what is set as {places} is not read"
    return NOTHING_SET("dsn", message, hint=hint, origin=values[0].origin)
