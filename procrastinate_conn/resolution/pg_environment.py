"""libpq's variables that set no keyword, and variables that only look like libpq's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.origins import ENVIRONMENT
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.variables import LIKELY_MISSPELT_VARIABLE

SESSION_VARIABLE = Rule(
    "PC212",
    "variable of the session in an env file",
    "libpq reads PGTZ, PGDATESTYLE and PGGEQO from the process environment alone.",
    "Set it in options: -c timezone=UTC.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1/jobs\nPGTZ=UTC"),
    fault_in="name",
)

_NO_KEYWORD = (*libpq.SESSION_VARIABLES, "PGLOCALEDIR", "PGREQUIRESSL", "PGSERVICEFILE", "PGSYSCONFDIR")
_OTHERS = ("PGCLUSTER", "PGDATA", "PGROOT", "PGVERSION")  # of servers and tools


def misspelt_variables(sources: Sequence[Source], configured: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each variable that libpq does not know, and whose name is near one that it does.

    If its keyword is configured elsewhere, a ``PG_HOST`` may be a part of that, such as of a DSN.
    """
    keywords = libpq.variables()
    for source in sources:
        for problem in source.misspelt:
            section, _, keyword = problem.setting.partition(".")
            if section == "connection" and keyword not in configured:
                yield problem
    known = keywords.keys() | set(_NO_KEYWORD)
    for source in sources:
        for name, sourced in source.variables.items():
            is_known = name in known or name in _OTHERS
            near = None if is_known else suggestions.pg_variable(name, known, source.names)
            if near and not (name.startswith("PG_") and keywords.get(near) in configured):
                message, hint = f"libpq does not know {name}", f"did you mean {near}?"
                yield LIKELY_MISSPELT_VARIABLE(name, message, hint=hint, origin=sourced.origin)


def session_variables(sources: Sequence[Source]) -> dict[str, str]:
    """Return the variables of the process environment that libpq sends as settings of the session."""
    return {
        name: str(sourced.value)
        for source in sources
        if source.kind == ENVIRONMENT
        for name, sourced in source.variables.items()
        if name in libpq.SESSION_VARIABLES
    }


def ignored_session_variables(sources: Sequence[Source]) -> Iterator[Problem]:
    """Yield a warning for each variable of the session that is in a file, where libpq does not read it."""
    for source in sources:
        for name in libpq.SESSION_VARIABLES:
            if source.kind != ENVIRONMENT and name in source.variables:
                yield SESSION_VARIABLE(
                    name,
                    f"libpq does not read {name} from an env file",
                    hint="set it in the process environment, or write it as an option of the connection",
                    origin=source.variables[name].origin,
                )
