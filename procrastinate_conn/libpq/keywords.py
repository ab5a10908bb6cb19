"""libpq's connection keywords: its own table, and what the table leaves out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

INTEGERS: Mapping[str, str] = {
    "connect_timeout": "seconds",
    "keepalives": "0 or 1",
    "keepalives_count": "lost keepalives",
    "keepalives_idle": "seconds",
    "keepalives_interval": "seconds",
    "tcp_user_timeout": "milliseconds",
}
"""Keywords whose value libpq reads as an integer while it connects, with their units."""

FLAGS = ("gssdelegation", "keepalives", "replication", "sslcompression", "sslsni")
"""Keywords whose value is 0 or 1."""

_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

CHOICES: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "max_protocol_version": ("3.0", "3.2", "latest"),
    "min_protocol_version": ("3.0", "3.2", "latest"),
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "sslcertmode": ("disable", "allow", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""Keywords with a closed set of values, as libpq's documentation lists them; libpq itself decides."""

UNSET_VALUES: Mapping[str, str] = {
    "connect_timeout": "0",
    "gssdelegation": "0",
    "keepalives": "1",
    "load_balance_hosts": "disable",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "require_auth": "password,md5,gss,sspi,scram-sha-256,none",
    "sslcertmode": "allow",
    "sslnegotiation": "postgres",
    "tcp_user_timeout": "0",
}
"""The effective values of unset keywords that have no default in libpq's table, and for which an empty value
means something else or is rejected."""

_SECRETS = ("oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword")
"""Keywords that hold a secret, known to this libpq or not; libpq's table marks passwords alone."""


class Keyword(NamedTuple):
    """One row of libpq's table of connection keywords."""

    variable: str | None  # in the environment, read if the keyword is unset
    default: str | None  # compiled in; None also if it depends on other values
    secret: bool  # marked as a password


@cache
def keywords() -> Mapping[str, Keyword]:
    """Return libpq's table of keywords, by name, in libpq's order; an `ImportError` if there is no libpq."""
    from psycopg import pq

    return {
        row.keyword.decode(): Keyword(
            variable=row.envvar.decode() if row.envvar else None,
            default=None if row.compiled is None else row.compiled.decode(),
            secret=row.dispchar == b"*",
        )
        for row in pq.Conninfo.get_defaults()
    }


@cache
def variables() -> Mapping[str, str]:
    """Return the keywords by the environment variables that libpq reads for them."""
    return {row.variable: keyword for keyword, row in keywords().items() if row.variable}


def unset_value(keyword: str) -> str:
    """Return the value that means the same to libpq as an unset keyword."""
    row = keywords().get(keyword)
    if row is None or row.default is None:
        return UNSET_VALUES.get(keyword, "")
    return row.default


def is_secret(keyword: str) -> bool:
    """Return whether the value of a keyword must not be shown."""
    row = keywords().get(keyword)
    return keyword in _SECRETS or (row is not None and row.secret)


def version() -> int:
    """Return the version of the loaded libpq, as ``180006`` for 18.6."""
    from psycopg import pq

    return pq.version()


def home() -> str | None:
    """Return the directory in which libpq looks for the user's files; None if there is none.

    From libpq 15 on the variable ``HOME`` comes first; older ones ask the system alone.
    """
    if os.name == "nt":
        return os.path.join(os.environ.get("APPDATA", ""), "postgresql")  # noqa: PTH118 - text, as libpq has it
    if version() >= 150000 and os.environ.get("HOME"):
        return os.environ["HOME"]
    from pwd import getpwuid

    try:
        return getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return None


def default_file(name: str) -> Path:
    """Return the file of that name in the directory in which libpq looks for certificates by default."""
    directory = Path(home() or os.devnull)
    return directory / name if os.name == "nt" else directory / ".postgresql" / name
