"""One sentence that says what a configuration comes to."""

from __future__ import annotations

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.redaction import is_harmless
from procrastinate_conn.registry import REGISTRY

_TLS = {
    "disable": "no TLS",
    "allow": "TLS where the server insists",
    "prefer": "TLS where the server has it",
}


def summary(configuration: Configuration) -> str:
    """Return a sentence without its full stop; an empty one where it cannot be told."""
    spec, kind = configuration.spec, configuration.settings.kind
    if spec is None or configuration.connection.redacted_keywords or not _is_harmless(spec):
        return ""
    does = "async, runs workers" if REGISTRY[kind].asynchronous else "sync, defers only"
    where = f"{spec.user}@{_hosts(spec)}/{spec.dbname or spec.user}"
    return f"{kind} ({does}) to {where}, {_encryption(spec)}, {_connections(configuration)}"


def _is_harmless(spec: ConnectionSpec) -> bool:
    told = {k: v for k, v in spec.parameters.items() if k in ("user", "host", "hostaddr", "port", "dbname")}
    return all(is_harmless(keyword, value) for keyword, value in told.items())


def _hosts(spec: ConnectionSpec) -> str:
    """Return the hosts with their ports; in brackets what is no plain name."""
    return ",".join(f"{_bracketed(host.name or host.address)}:{host.port}" for host in hosts(spec.parameters))


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name or name.startswith(("/", "@")) else name


def _encryption(spec: ConnectionSpec) -> str:
    if all(host.is_socket for host in hosts(spec.parameters)):
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
