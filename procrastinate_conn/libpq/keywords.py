"""libpq's table of connection keywords, and what it does where nothing is stated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple


class Keyword(NamedTuple):
    """One row of libpq's table of connection keywords.

    Parameters
    ----------
    name
        The keyword, as in ``host=...``.
    variable
        The environment variable that stands in for it; None where there is none.
    default
        The compiled-in default; None where there is none, or where it depends on other values.
    secret
        Whether libpq marks it as a password.
    """

    name: str
    variable: str | None
    default: str | None
    secret: bool


def version() -> int:
    """Return the version of the loaded libpq, as ``180006`` for 18.6."""
    from psycopg import pq

    return pq.version()


@cache
def keywords() -> Mapping[str, Keyword]:
    """Return libpq's table of keywords, by name, in libpq's order.

    Raises
    ------
    ImportError
        If no libpq can be loaded.
    """
    from psycopg import pq

    return {
        row.keyword.decode(): Keyword(
            name=row.keyword.decode(),
            variable=row.envvar.decode() if row.envvar else None,
            default=None if row.compiled is None else row.compiled.decode(),
            secret=row.dispchar == b"*",
        )
        for row in pq.Conninfo.get_defaults()
    }


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
"""What an unset keyword means to a libpq whose table has no default for it, where an empty value means
something else or is refused."""


def unset_value(keyword: str) -> str:
    """Return the value that means the same to libpq as not stating a keyword."""
    row = keywords().get(keyword)
    default = row.default if row is not None else None
    return UNSET_VALUES.get(keyword, "") if default is None else default


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
