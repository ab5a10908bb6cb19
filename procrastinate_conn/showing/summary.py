"""One sentence that says what a configuration comes to."""

from __future__ import annotations

from itertools import zip_longest

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.judging.tls import remote_hosts
from procrastinate_conn.kinds import FACTS
from procrastinate_conn.spec.connection import ConnectionSpec

_TLS = {
    "disable": "no TLS",
    "allow": "TLS where the server insists",
    "prefer": "TLS where the server has it",
}


def summary(configuration: Configuration) -> str:
    """Return a sentence without its full stop; an empty one where it cannot be told."""
    spec, kind = configuration.spec, configuration.settings.kind
    if spec is None or configuration.connection.veiled:
        return ""
    does = "async, runs workers" if FACTS[kind].asynchronous else "sync, defers only"
    where = f"{spec.user}@{_hosts(spec)}/{spec.dbname or spec.user}"
    return f"{kind} ({does}) to {where}, {_encryption(spec)}, {_connections(configuration)}"


def _hosts(spec: ConnectionSpec) -> str:
    """Return the hosts with their ports; a socket's directory in brackets."""
    names = (spec.host or spec.hostaddr or "").split(",")
    ports = (spec.port or "5432").split(",")
    return ",".join(f"{_host(name)}:{port}" for name, port in zip_longest(names, ports, fillvalue=ports[0]))


def _host(name: str) -> str:
    is_plain = name and ":" not in name and not name.startswith(("/", "@"))
    return name if is_plain else f"[{name or 'local socket'}]"


def _encryption(spec: ConnectionSpec) -> str:
    is_socket = not spec.hostaddr and all(
        h.startswith(("/", "@")) or not h for h in (spec.host or "").split(",")
    )
    if is_socket and not remote_hosts(spec):
        return "Unix socket"
    mode = spec.sslmode or "prefer"
    return _TLS.get(mode, f"TLS {mode}")


def _connections(configuration: Configuration) -> str:
    least, most = configuration.pool.min_size, configuration.pool.max_size
    if configuration.pool.null:
        return f"at most {most} connections, none kept" if most else "a connection for every call"
    if least == most:
        return f"{most} connection" if most == 1 else f"{most} connections"
    return f"{least}\N{EN DASH}{most} connections"
