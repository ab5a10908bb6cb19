"""Whether the way to the server is encrypted, and whether the server is verified."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from procrastinate_conn.checks.tls_files import default_file
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import Host, hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.files import status
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import redact_value
from procrastinate_conn.rules import Example, Rule

PLAINTEXT_POSSIBLE = Rule(
    "PC501",
    "plaintext to a host that is not local",
    "With an sslmode below `require` libpq goes on without encryption when the server, or somebody in"
    " between, says that it has none: the password and every job can be read and changed on the way.",
    "State sslmode=verify-full and the sslrootcert to verify against, or at least sslmode=require.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs"),
)

UNVERIFIED_SERVER = Rule(
    "PC502",
    "encryption without verification",
    "sslmode=require without a root certificate encrypts, but to whoever answers: another server is not"
    " noticed.",
    "State sslmode=verify-full and sslrootcert: a file, or `system`, for which the drivers' wheels need"
    " SSL_CERT_FILE as well.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs?sslmode=require"),
)

NO_ROOT_CERTIFICATE = Rule(
    "PC503",
    "verification without a root certificate",
    "libpq has nothing to verify the server against, and refuses to connect.",
    "State sslrootcert: a file, or `system`, for which the drivers' wheels need SSL_CERT_FILE as well.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs?sslmode=verify-full"),
)


ADVICE = "state sslmode=verify-full and sslrootcert, a file or `system`"


def check(configuration: Configuration) -> Iterator[Problem]:
    """Judge the TLS settings of a connection to hosts that are not local.

    Parameters
    ----------
    configuration
        Nothing is said of one that libpq refuses anyway, or takes a part of the password for the host of.
    """
    spec = configuration.spec
    if spec is None or configuration.connection.redacted_keywords or spec.gssencmode == "require":
        return
    remote = remote_hosts(spec)
    if not remote:
        return
    where = " and ".join(remote) if len(remote) < 3 else f"{remote[0]} and {len(remote) - 1} other hosts"
    mode, origin = spec.sslmode or "prefer", _place(spec)
    stated = mode if "sslmode" in configuration.connection.configured else f"{mode} by default"
    if mode in ("disable", "allow", "prefer"):
        may = "goes" if mode == "disable" else "may go"
        yield PLAINTEXT_POSSIBLE(
            "connection.sslmode",
            f"the connection to {where} {may} unencrypted: sslmode is {stated}",
            hint=ADVICE,
            origin=origin,
        )
    elif not spec.sslrootcert and status(default_root_certificate()) is None:
        if mode == "require":
            message = f"sslmode=require encrypts the connection to {where} and verifies nothing"
            yield UNVERIFIED_SERVER("connection.sslmode", message, hint=ADVICE, origin=origin)
        else:
            yield NO_ROOT_CERTIFICATE(
                "connection.sslrootcert",
                f"sslmode={mode} has nothing to verify {where} with: sslrootcert is not stated, and there is"
                f" no {default_root_certificate()}",
                hint="state sslrootcert, a file or `system`",
                origin=origin,
            )


def remote_hosts(spec: ConnectionSpec) -> list[str]:
    """Return the hosts that are reached over a network, by the names that were stated for them."""
    remote = [host.name or host.address for host in hosts(spec.parameters) if not _is_local(host)]
    return list(dict.fromkeys(redact_value("connection.host", name) for name in remote))


def _is_local(host: Host) -> bool:
    """Tell whether libpq stays on this machine: by a socket, or by loopback."""
    is_named_so = not host.address and host.name == "localhost"
    return host.is_socket or is_named_so or is_loopback(host.address or host.name)


def is_loopback(address: str) -> bool:
    """Tell whether a numeric address, however short it is written, is this machine's own; no name is one."""
    try:
        [found, *_] = socket.getaddrinfo(address.encode(), None, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    return ip_address(str(found[4][0]).partition("%")[0]).is_loopback


def default_root_certificate() -> Path:
    """Return the root certificate that libpq looks for where none is named."""
    return default_file("root.crt")


def _place(spec: ConnectionSpec) -> Origin | None:
    """Return where to change it: at sslmode where that is stated, or else at the host."""
    origins = [spec.origins.get(keyword) for keyword in ("sslmode", "host", "hostaddr")]
    return next((o for o in origins if o is not None and not o.kind.is_default), None)
