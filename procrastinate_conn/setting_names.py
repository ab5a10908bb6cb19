"""The names of the settings, and of the variables that state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procrastinate_conn.libpq import Keyword

PREFIX = "PROCRASTINATE_CONN_"
"""What the variables of procrastinate-conn begin with, in any case."""

SECTIONS = ("connection", "pool")
"""The settings that have parts of their own, written ``PROCRASTINATE_CONN_POOL__MIN_SIZE`` or as JSON."""

POOL_AS_MAPPING: Mapping[str, object] = {}
"""Sentinel: the pool was given as a mapping, so it is not a null pool."""

SETTINGS = (
    "connector",
    "dsn",
    *SECTIONS,
    "json_dumps",
    "json_loads",
    "password_file",
    "password_command",
    "defaults",
)
"""The settings that can be written as variables."""


def is_setting(name: str) -> bool:
    """Tell whether a variable is one of procrastinate-conn's own, or ``DATABASE_URL``."""
    return name.upper().startswith(PREFIX) or name.upper() == "DATABASE_URL"


def setting_of(name: str) -> str:
    """Return the dotted path of the setting that a variable states."""
    if name in (variables := {row.variable: row.name for row in keywords_if_any().values()}):
        return f"connection.{variables[name]}"
    return name.upper().removeprefix(PREFIX).lower().replace("__", ".")


def keywords_if_any() -> Mapping[str, Keyword]:
    """Return libpq's keywords; none where there is no libpq, which is a finding of its own."""
    from procrastinate_conn import libpq

    try:
        return libpq.keywords()
    except ImportError:
        return {}
