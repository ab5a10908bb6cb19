"""libpq's variables that stand for no keyword, and those that only look like libpq's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from procrastinate_conn import libpq
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.rules.connection import SESSION_VARIABLE
from procrastinate_conn.sources.base import Place
from procrastinate_conn.suggestions import nearest

_NO_KEYWORD = (
    "PGDATESTYLE",
    "PGGEQO",
    "PGLOCALEDIR",
    "PGREQUIRESSL",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGTZ",
)
"""libpq's variables that stand for no keyword."""

_OTHERS = ("PGCLUSTER", "PGDATA", "PGROOT", "PGVERSION")
"""Variables of servers and tools that only look like a misspelt one."""


_OTHER_NAMES = {
    "PGDB": "PGDATABASE",
    "PGDBNAME": "PGDATABASE",
    "PGHOSTNAME": "PGHOST",
    "PGHOST_NAME": "PGHOST",
    "PGPASS": "PGPASSWORD",
    "PGPASSWORD_FILE": "PROCRASTINATE_CONN_PASSWORD_FILE",
    "PGPWD": "PGPASSWORD",
    "PGSSL": "PGSSLMODE",
    "PGUSERNAME": "PGUSER",
    "PGUSER_NAME": "PGUSER",
}
"""What is written for libpq's variables, and is too far from them to be a slip of the pen."""


def misspelt_variables(places: Sequence[Place], stated: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each variable that libpq does not know but nearly does.

    Parameters
    ----------
    places
        The places that settings are written in.
    stated
        The keywords that are stated, however that is; a ``PG_HOST`` may be what the DSN is made of.
    """
    keywords = {row.variable: row.name for row in libpq.keywords().values() if row.variable}
    known = keywords.keys() | set(_NO_KEYWORD)
    for place in places:
        for name, located in place.variables.items():
            if name in known or name in _OTHERS:
                continue
            near = _OTHER_NAMES.get(name) or _near(name, known)
            is_the_applications = name.startswith("PG_") and keywords.get(near or "") in stated
            if near and not is_the_applications:
                yield rules.LIKELY_MISSPELT_VARIABLE(
                    name,
                    f"libpq does not know {name}",
                    hint=f"did you mean {near}?",
                    origin=located.origin,
                )


def _near(name: str, known: Collection[str]) -> str | None:
    """Return what was meant; the name of a second server, such as ``PGHOST_REPLICA``, is meant as it is."""
    is_another = name.rpartition("_")[0] in known
    return None if is_another else nearest(name, known, cutoff=0.8)


def session_variables(places: Sequence[Place]) -> dict[str, str]:
    """Return what the process environment says of the session, which libpq tells the server."""
    return {
        name: str(located.value)
        for place in places
        if place.source == "environment"
        for name, located in place.variables.items()
        if name in libpq.SESSION_VARIABLES
    }


def idle_session_variables(places: Sequence[Place]) -> Iterator[Problem]:
    """Yield a warning for each variable of the session that stands where libpq does not read it.

    Parameters
    ----------
    places
        The places that settings are written in.
    """
    for place in places:
        for name in libpq.SESSION_VARIABLES:
            if place.source == "dotenv" and name in place.variables:
                yield SESSION_VARIABLE(
                    name,
                    f"libpq does not read {name} from an env file",
                    hint="set it in the process environment, or write it as an option of the connection",
                    origin=place.variables[name].origin,
                )
