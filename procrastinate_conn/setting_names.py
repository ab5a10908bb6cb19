"""The settings: their names, their descriptions, and the variables that set them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procrastinate_conn.libpq import Keyword

PREFIX = "PROCRASTINATE_CONN_"
"""The prefix of procrastinate-conn's variables, in any case."""

SECTIONS = ("connection", "pool")
"""The settings that consist of options, written ``PROCRASTINATE_CONN_POOL__MIN_SIZE`` or as JSON."""

POOL_AS_MAPPING: Mapping[str, object] = {}
"""Sentinel: the pool was given as a mapping, so it is not a null pool."""

SETTINGS = {
    "connector": "Which connector to build.",
    "dsn": "URI or keyword/value string, as libpq reads it.",
    "connection": "Single keywords of libpq, which override a DSN in the same source.",
    "pool": "In psycopg_pool's names, for every kind of connector.",
    "json_dumps": "How task arguments become JSON.",
    "json_loads": "How JSON becomes task arguments.",
    "password_file": "File that the password is read from, anew for each connection.",
    "password_command": "Command that prints the password for new connections, run without a shell;"
    " its output is used for 10 s.",
    "defaults": "Whether timeouts and keepalives for long-lived workers are on, or libpq's own.",
}
"""The settings that can be written as variables, each with its description."""


def is_setting(name: str) -> bool:
    """Tell whether a variable is one of procrastinate-conn's own, or ``DATABASE_URL``."""
    return name.upper().startswith(PREFIX) or name.upper() == "DATABASE_URL"


def variable(path: Sequence[str]) -> str:
    """Return the variable that sets a setting, given step by step."""
    return PREFIX + "__".join(path).upper()


def setting_of(name: str) -> str:
    """Return the dotted path of the setting that a variable sets."""
    if name in (variables := {row.variable: row.name for row in keywords_if_any().values()}):
        return f"connection.{variables[name]}"
    return name.upper().removeprefix(PREFIX).lower().replace("__", ".")


def keywords_if_any() -> Mapping[str, Keyword]:
    """Return libpq's keywords; none if there is no libpq, which is a problem of its own."""
    from procrastinate_conn import libpq

    try:
        return libpq.keywords()
    except ImportError:
        return {}
