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
            elif name not in known and name not in _OTHERS:
                near = suggestions.pg_variable(name, known, source.names)
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
