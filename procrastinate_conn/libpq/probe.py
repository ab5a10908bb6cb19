"""Parameters validated and completed by libpq itself, which reaches no server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from procrastinate_conn.libpq.conninfo import conninfo, decode, encode, start_connection
from procrastinate_conn.libpq.environment import UNREACHABLE, UNREACHABLE_HOST, override_environment
from procrastinate_conn.libpq.keywords import variables

PLACEHOLDER_USER = {"user": "-"}
"""Placeholder user: libpq fails if the operating system has none."""

_PLACEHOLDERS = {**PLACEHOLDER_USER, "password": "-"}
"""Placeholder login; with a password libpq reads no password file."""

_NO_HOST = {"host": "", "hostaddr": "", "port": ""}


class ProbeResult(NamedTuple):
    """The result of passing parameters to libpq."""

    info: Mapping[str, str]  # the parameters, completed with libpq's defaults, without unset ones
    rejection: str | None  # why libpq rejects the parameters before it connects anywhere


def probe(parameters: Mapping[str, str], *, over_tcp: bool = False) -> ProbeResult:
    """Let libpq complete and validate parameters.

    libpq starts to connect to a socket that cannot exist: it decides all that it decides before it
    connects, and opens nothing. `host`, `hostaddr` and `service` are not among the parameters; `over_tcp` if
    no host is a socket, for which libpq rejects ``gssencmode=require``.
    """
    password, gssencmode = parameters.get("password"), parameters.get("gssencmode")
    probed = {**parameters, "host": UNREACHABLE_HOST, "hostaddr": "", "password": password or "-"}
    if over_tcp and gssencmode == "require":
        if reason := _gssencmode_rejection():
            return ProbeResult({}, reason)
        probed["gssencmode"] = "prefer"
    info, message = _start_with(probed)
    info.pop("host", None)
    if not password:
        info.pop("password", None)
    if gssencmode and "gssencmode" in info:
        info["gssencmode"] = gssencmode
    return ProbeResult(info, None if UNREACHABLE_HOST in message else message)


def rejection(parameters: Mapping[str, str], *, over_tcp: bool = False) -> str | None:
    """Return why libpq rejects some of a connection's parameters, as `probe` does; None if it does not."""
    return probe({**PLACEHOLDER_USER, **parameters}, over_tcp=over_tcp).rejection


def lists_match(lists: Mapping[str, str]) -> bool:
    """Return whether libpq can match `host`, `hostaddr` and `port` with each other.

    It never connects, since it gets an `sslmode` that it rejects right after having matched them.
    """
    return _message({**_NO_HOST, **lists, "sslmode": "-"}) == _message({**_NO_HOST, "sslmode": "-"})


def accepts_keepalives(parameters: Mapping[str, str]) -> bool:
    """Return whether libpq, and the system, accept `keepalives` and `keepalives_...`."""
    accepted = (_message_after_keepalives(keepalives=value) for value in ("1", "0"))
    return _message_after_keepalives(**parameters) in accepted


def turns_keepalives_off(value: str) -> bool:
    """Return whether a value of ``keepalives`` is off: some libpqs, as 16.0, take an empty one for 0."""
    return _message_after_keepalives(keepalives=value) == _message_after_keepalives(keepalives="0")


@cache
def _message_after_keepalives(**parameters: str) -> str:
    """Return libpq's error for a `tcp_user_timeout` that it rejects right after having set keepalives.

    If they are off, it goes on to connect, and it is the system's error for an address that TCP cannot
    connect to.
    """
    return _message({**parameters, "tcp_user_timeout": "-", "hostaddr": "255.255.255.255", "port": ""})


@cache
def _gssencmode_rejection() -> str | None:
    """Return why libpq always rejects ``gssencmode=require``: most often it was built without GSSAPI."""
    probed = {**UNREACHABLE, "target_session_attrs": "-"}
    message = _message({**probed, "gssencmode": "require"})
    return None if message == _message({**probed, "gssencmode": "disable"}) else message


def system_service(service: str, environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Look up a service in the directory that was compiled into libpq, and that libpq alone knows.

    The user's service file does not define it. Returned are its values that differ from libpq's variables
    and defaults, and if there are none, why.
    """
    values: dict[str, str] = {}
    message = ""
    # A value that libpq rejects keeps it from connecting; the other probe shows the service's value for it.
    probes = ({"sslmode": "-", "passfile": UNREACHABLE_HOST}, {"target_session_attrs": "-", "password": "-"})
    with override_environment(
        {**environment, "PGSERVICE": None, "PGSERVICEFILE": os.devnull, "PGSYSCONFDIR": None}
    ):
        for probed in probes:
            without_service, _ = start_connection(probed)
            info, message = start_connection({**probed, "service": service})
            values.update({k: v for k, v in info.items() if v != without_service.get(k)})
    values.pop("service", None)
    return values, "" if info else message


@cache
def default_host() -> str:
    """Return the host that libpq connects to if none is set: a socket directory, or ``localhost``."""
    from psycopg import pq

    rejected = {**_PLACEHOLDERS, **_NO_HOST, "sslmode": "-"}
    connection = pq.PGconn.connect_start(encode(conninfo(rejected)))
    try:
        return decode(connection.host)
    finally:
        connection.finish()


def _message(parameters: Mapping[str, str]) -> str:
    return _start_with({**_PLACEHOLDERS, **parameters})[1]


def _start_with(parameters: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Start a connection with these parameters alone: without the variables that libpq reads for others.

    If the process environment is among the sources, that is ``PGSERVICE`` alone: the others are parameters.
    """
    unset = [variable for variable, keyword in variables().items() if keyword not in parameters]
    if "sslmode" not in parameters:
        unset.append("PGREQUIRESSL")
    with override_environment(dict.fromkeys(["PGSERVICE", *unset])):
        return start_connection(parameters)
