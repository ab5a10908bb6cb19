"""Errors of connecting: whether another attempt may succeed, and the hosts that psycopg leaves out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import psycopg

# It is not documented; every test of opening with several hosts notices if it goes.
from psycopg.conninfo import conninfo_attempts

from procrastinate_conn.connection.hosts import Host, hosts

# Compiled when they are needed: that takes as long as to import several modules.
_LOGIN_REJECTED = r"(password|SASL) authentication failed|SQLSTATE 28P01"  # the second is PgBouncer's

_PERMANENT = (
    _LOGIN_REJECTED
    + r"|SQLSTATE (28000|3D000)"  # in asyncpg's messages
    + r"|no password supplied"
    + r"|(Peer|certificate) authentication failed"
    + r"|(database|role) \".*\" does not exist"
    + r"|no such (database|user)"  # PgBouncer's
    + r"|role \".*\" is not permitted to log in"
    + r"|no pg_hba\.conf entry|pg_hba\.conf rejects"
    + r"|server does not support SSL|rejected SSL upgrade"  # the second is asyncpg's
    + r"|certificate verify failed"
    + r"|certificate for \".*\".* does not match host name|[Hh]ostname mismatch"  # the second is Python's
    + r"|root certificate file .* does not exist"
    + r"|could not (open|read|load|stat) .*(certificate|private( SSL)? key)"
    + r"|certificate present, but not private key file|private key file .* (is not a|has group or world)"
    + r"|certificate does not match private key file"
    + r"|host name must be specified for a verified SSL connection"
)
"""Reasons that stay until somebody changes a setting. libpq shows no SQLSTATE of a failed connection, so
only English messages of its are recognised; after any other the pool tries again until its `timeout`."""

_NO_REASON = r"\s|DETAIL:|HINT:|Multiple connection attempts failed|Either provide the file|$"
"""Lines of an error that continue the line above, or introduce those below."""


def is_permanent(message: str) -> bool:
    """Tell whether every host has rejected the connection for a reason that another attempt does not mend."""
    reasons = [line for line in message.splitlines() if not re.match(_NO_REASON, line)]
    return bool(reasons) and all(re.search(_PERMANENT, reason) for reason in reasons)


def is_password_rejected(message: str) -> bool:
    """Tell whether a host has rejected the password."""
    return re.search(_LOGIN_REJECTED, message) is not None


def name_every_host(message: str, parameters: Mapping[str, str]) -> str:
    """Return why no connection was made, with the hosts that psycopg leaves out.

    That is the only host, if it did not answer; and hosts that could not be resolved, if psycopg has tried
    the others. To find those, several hosts are resolved once more, which may take time.
    """
    tried = hosts(parameters)
    if len(tried) == 1:
        [host] = tried
        is_named = host.shown in message
        return message if is_named else f"connection to {host} failed: {message}"
    unresolved = [reason for host in tried if (reason := _resolution_error(host)) and reason not in message]
    return "\n".join([message, *unresolved])


def _resolution_error(host: Host) -> str:
    """Return why a host cannot be resolved; an empty text if it can be."""
    try:
        conninfo_attempts({"host": host.name, "hostaddr": host.address, "port": host.port})
    except psycopg.OperationalError as error:
        message = str(error)
        return message if host.name in message else f"{host} cannot be resolved: {message}"  # psycopg 3.2.4
    return ""
