"""psycopg's words for why it cannot connect, completed: each host is named, as libpq would name it."""

from __future__ import annotations

import psycopg

# The second of them is not documented; every test of opening with several hosts notices if it goes.
from psycopg.conninfo import conninfo_attempts, conninfo_to_dict

from procrastinate_conn.connection.hosts import Host, hosts


def name_every_host(said: str, conninfo: str) -> str:
    """Return why no connection was made, with what psycopg leaves out.

    That is which host did not answer, where there is only one; and which hosts could not be looked up, where
    it has tried the others. To find out, several are looked up once more, which may take time.

    Parameters
    ----------
    said
        What psycopg says.
    conninfo
        What it was to connect to.
    """
    tried = hosts({keyword: str(value) for keyword, value in conninfo_to_dict(conninfo).items()})
    if len(tried) == 1:
        [host] = tried
        is_named = (host.name or host.address) in said
        return said if is_named else f"connection to {host} failed: {said}"
    more = [reason for host in tried if (reason := _not_found(host)) and reason not in said]
    return "\n".join([said, *more])


def _not_found(host: Host) -> str:
    """Return why a host cannot be looked up; an empty text if it can be."""
    try:
        conninfo_attempts({"host": host.name, "hostaddr": host.address, "port": host.port})
    except psycopg.OperationalError as error:
        said = str(error)
        return said if host.name in said else f"{host} cannot be looked up: {said}"  # psycopg 3.2.4
    return ""
