"""libpq, the authority: its keywords, how it reads a connection string, what it makes of parameters."""

from procrastinate_conn.libpq.conninfo import Malformed, conninfo, integer, parse, unspeakable
from procrastinate_conn.libpq.hermetic import SESSION_VARIABLES, undisturbed
from procrastinate_conn.libpq.keywords import NEUTRAL, Keyword, home, keywords, neutral, version
from procrastinate_conn.libpq.probe import (
    NOWHERE,
    SOMEBODY,
    Answer,
    ask,
    default_host,
    refuses,
    refuses_keepalives,
    refuses_lists,
    system_service,
    turns_keepalives_off,
)

__all__ = [
    "NEUTRAL",
    "NOWHERE",
    "SESSION_VARIABLES",
    "SOMEBODY",
    "Answer",
    "Keyword",
    "Malformed",
    "ask",
    "conninfo",
    "default_host",
    "home",
    "integer",
    "keywords",
    "neutral",
    "parse",
    "refuses",
    "refuses_keepalives",
    "refuses_lists",
    "system_service",
    "turns_keepalives_off",
    "undisturbed",
    "unspeakable",
    "version",
]
