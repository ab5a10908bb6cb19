"""libpq, the authority on connection parameters: its keywords, its parser, its validation."""

from procrastinate_conn.libpq.conninfo import InvalidConninfo, conninfo, integer, parse, unencodable
from procrastinate_conn.libpq.environment import SESSION_VARIABLES, UNREACHABLE_HOST, pinned_environment
from procrastinate_conn.libpq.keywords import (
    CHOICES,
    INTEGERS,
    UNSET_VALUES,
    Keyword,
    home,
    is_secret,
    keywords,
    unset_value,
    variables,
    version,
)
from procrastinate_conn.libpq.probe import (
    PLACEHOLDER_USER,
    default_host,
    keepalives_rejection,
    lists_rejection,
    probe,
    rejection,
    system_service,
    turns_keepalives_off,
)

__all__ = [
    "CHOICES",
    "INTEGERS",
    "PLACEHOLDER_USER",
    "SESSION_VARIABLES",
    "UNREACHABLE_HOST",
    "UNSET_VALUES",
    "InvalidConninfo",
    "Keyword",
    "conninfo",
    "default_host",
    "home",
    "integer",
    "is_secret",
    "keepalives_rejection",
    "keywords",
    "lists_rejection",
    "parse",
    "pinned_environment",
    "probe",
    "rejection",
    "system_service",
    "turns_keepalives_off",
    "unencodable",
    "unset_value",
    "variables",
    "version",
]
