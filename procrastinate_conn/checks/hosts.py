"""Hosts that cannot exist: libpq looks every name up, and such a one is never found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

from procrastinate_conn.artifacts import find_artifact
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import Host, hosts
from procrastinate_conn.connection.validation import as_texts
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import quote_value
from procrastinate_conn.sources.dsn import ENCODE_PASSWORD

IMPOSSIBLE_HOST = Rule(
    "PC214",
    "impossible host",
    "libpq looks it up all the same, and never finds it; a pool retries that until it times out.",
    "Write the name of the host or its address alone; the port, the user and the database have keywords of"
    " their own, and a password in a URI is percent-encoded: @ is %40.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__HOST=localhost:5432"),
)


Fault = tuple[str, str]
"""Why a text is not a host, and what to do."""

_REFERENCE = "in an env file write ${NAME}, and set NAME before it or in the environment"
_SLASH = "write the host alone and the database as dbname, or the whole path of the directory"
FAULTS = {
    r".*\$": ("it has a $, as a variable that was not replaced has", _REFERENCE),
    r".*@": ("it has an @", "write the host alone, and the user as user"),
    r".*[/\\]": ("it has a slash, and only a socket's directory has one, at its beginning", _SLASH),
    r".*['\"`]": ("it has a quote", "write it without quotes, and several with commas alone between"),
    r"\[": ("it has brackets, as in a URI", "write the address without them, and the port as port"),
    r"[a-z][\w.-]*:[a-z]+-[a-z]+[0-9]+:[\w-]+\Z": (
        "it is the name of an instance of Cloud SQL",
        "write the directory of its socket, /cloudsql/project:region:instance, or the address of its proxy",
    ),
    r".*:": ("it has a colon, and only an IPv6 address has one", "write the port as port"),
    r"\.|.*\.\.": ("it has a dot with nothing before it", "write the whole name"),
    r".*[\r\n]": ("it has a line break", "write it without, as echo -n and printf do"),
    r".*\s": ("it has a blank", "write several hosts with commas alone between them"),
    r".*[<>{}()=*?&;#]": ("it has a character that no host has", "write the host's name or address"),
}
"""Why a name cannot be looked up; the first pattern that its beginning matches counts."""

SOCKET_FAULTS = {
    r".*[/\\]\.s\.PGSQL\.[0-9]+\Z": (
        "it is a socket; libpq expects the directory of the socket",
        "leave the last part out, and write the number in it as port",
    )
}


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report the first host with each fault; hosts with an address are not looked up."""
    effective = configuration.connection.effective
    host, dsn = effective.get("host"), configuration.connection.dsn
    if host is None:
        return
    may_be_password = dsn is not None and host.from_dsn and dsn.password_overflows
    source = "dsn" if host.from_dsn else host.origin.source
    found: dict[Fault, str] = {}
    for candidate in hosts(as_texts(effective)):
        if fault := _fault(candidate, source, may_be_password=may_be_password):
            found.setdefault(fault, candidate.name)
    for (reason, hint), name in found.items():
        message = f"{quote_value('host', name, host)} is not a host: {reason}"
        yield IMPOSSIBLE_HOST("connection.host", message, hint=hint, origin=host.origin)


def _fault(host: Host, source: str, *, may_be_password: bool) -> Fault | None:
    if host.address:
        return None
    with suppress(ValueError):
        ip_address(host.name)
        return None
    if may_be_password and "@" in host.name:
        return ("it has an @, and may be the rest of a password", ENCODE_PASSWORD)
    if artifact := find_artifact(host.name, source):
        return (f"it has {artifact.description}", artifact.hint)
    faults = SOCKET_FAULTS if host.is_socket else FAULTS
    return next((fault for pattern, fault in faults.items() if re.match(pattern, host.name, re.DOTALL)), None)
