"""psycopg's errors of connecting, completed: each host is named, as libpq would name it."""

from __future__ import annotations

import psycopg

# The second of them is not documented; every test of opening with several hosts notices if it goes.
from psycopg.conninfo import conninfo_attempts, conninfo_to_dict

from procrastinate_conn.connection.hosts import Host, hosts


def name_every_host(message: str, conninfo: str) -> str:
    """Return why no connection was made, with the hosts that psycopg leaves out.

    That is the only host, if it did not answer; and hosts that could not be resolved, if psycopg has tried
    the others. To find those, several hosts are resolved once more, which may take time.
    """
    tried = hosts({keyword: str(value) for keyword, value in conninfo_to_dict(conninfo).items()})
    if len(tried) == 1:
        [host] = tried
        is_named = (host.name or host.address) in message
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
