"""Hosts that cannot be one: libpq looks them up whatever they are, and nobody ever answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection import validation as texts
from procrastinate_conn.connection.hosts import Host, hosts
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import quote_value
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.sources.dsn import ENCODE_PASSWORD

IMPOSSIBLE_HOST = Rule(
    "PC214",
    "host that cannot be one",
    "libpq looks it up all the same, and never finds it; a pool retries that until it times out.",
    "Write the name of the host or its address alone; the port, the user and the database have keywords of"
    " their own, and a password in a URI is percent-encoded: @ is %40.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__HOST=localhost:5432"),
)


class Fault(NamedTuple):
    """One way in which a text is no host.

    Parameters
    ----------
    sign
        What it begins with, as a regular expression.
    reason
        What is wrong with it.
    hint
        What to do about it.
    """

    sign: str
    reason: str
    hint: str


SOCKET = Fault(
    r".*[/\\]\.s\.PGSQL\.[0-9]+\Z",
    "it is a socket, and libpq wants the directory that it is in",
    "leave the last part out, and write the number in it as port",
)
SPILT = Fault("", "it has an @, and may be the rest of a password", ENCODE_PASSWORD)
FAULTS = (
    Fault(
        r".*\$",
        "it has a $, as of a variable that nothing was put in for",
        "in an env file write ${NAME}, and state NAME before it or in the environment",
    ),
    Fault(r".*@", "it has an @", "write the host alone, and the user as user"),
    Fault(
        r".*[/\\]",
        "it has a slash, and only the directory of a socket has one, at its beginning",
        "write the host alone and the database as dbname, or the whole path of the directory",
    ),
    Fault(
        r".*['\"]", "it has a quote", "write it without quotes, and several with commas alone between them"
    ),
    Fault(
        r"\[",
        "it has brackets, which belong to a URI",
        "write the address without them, and the port as port",
    ),
    Fault(r".*:", "it has a colon, and only an IPv6 address has one", "write the port as port"),
    Fault(r"\.|.*\.\.", "it has a dot with nothing before it", "write the whole name"),
    Fault(r".*[\r\n]", "it has a line break", "write it without, as echo -n and printf do"),
    Fault(r".*\s", "it has a blank", "write several hosts with commas alone between them"),
    Fault(r".*[<>{}()=*?&;#]", "it has a sign that no host has", "write the name of the host or its address"),
)
"""What cannot be looked up; the first that fits counts."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield the hosts that cannot be one, unless an address stands beside them; one finding for each fault.

    Parameters
    ----------
    configuration
        Wherever its host is stated: libpq looks up what is no path and no address.
    """
    effective = configuration.connection.effective
    host, dsn = effective.get("host"), configuration.connection.dsn
    if host is None:
        return
    is_spilt = dsn is not None and host.from_dsn and dsn.password_overflows
    found: dict[Fault, str] = {}
    for one in hosts(texts.text(effective)):
        fault = _spilt(one) if is_spilt else None
        if fault := fault or _fault(one):
            found.setdefault(fault, one.name)
    for fault, name in found.items():
        yield _impossible(fault, name, host)


def _spilt(host: Host) -> Fault | None:
    return SPILT if "@" in host.name and not host.address else None


def _fault(host: Host) -> Fault | None:
    """Return what is wrong with a host that has no address beside it."""
    if host.address or _is_address(host.name):
        return None
    possible = (SOCKET,) if host.is_socket else FAULTS
    return next((fault for fault in possible if re.match(fault.sign, host.name, re.DOTALL)), None)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _impossible(fault: Fault, name: str, host: SourcedValue) -> Problem:
    message = f"{quote_value('host', name, host)} is no host: {fault.reason}"
    return IMPOSSIBLE_HOST("connection.host", message, hint=fault.hint, origin=host.origin)
