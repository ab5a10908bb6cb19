"""Whether the connection is encrypted, and whether the server is verified."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from procrastinate_conn.checks import hosts as host_checks
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import Host, hosts, resolve_numeric
from procrastinate_conn.files import status
from procrastinate_conn.libpq import default_file
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import redact_value

PLAINTEXT_POSSIBLE = Rule(
    "PC501",
    "plaintext to a host that is not local",
    "With an sslmode below `require` libpq goes on without encryption if the server, or an attacker in"
    " between, claims not to support it: the password and every job can be read and changed on the way.",
    "Set sslmode=verify-full and the sslrootcert to verify against, or at least sslmode=require. A name"
    " without a dot, and one of a platform's private network, counts as local.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs"),
)

UNVERIFIED_SERVER = Rule(
    "PC502",
    "encryption without verification",
    "sslmode=require without a root certificate encrypts, but accepts any server, also that of an attacker.",
    "Set sslmode=verify-full and sslrootcert: a file, or `system`, for which the drivers' wheels need"
    " SSL_CERT_FILE as well.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs?sslmode=require"),
)

NO_ROOT_CERTIFICATE = Rule(
    "PC503",
    "verification without a root certificate",
    "libpq has nothing to verify the server against, and does not connect.",
    "Set sslrootcert: a file, or `system`, for which the drivers' wheels need SSL_CERT_FILE as well.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs?sslmode=verify-full"),
)

PRIVATE_DOMAINS = (".flycast", ".internal", ".svc", ".svc.cluster.local")
"""Domains of private networks: of Fly, Railway and others, and of Kubernetes."""

_HINT = "set sslmode=verify-full and sslrootcert, a file or `system`"


def check(configuration: Configuration) -> Iterator[Problem]:
    """Check the TLS settings of a connection to hosts that are not local."""
    spec = configuration.spec
    if spec is None or spec.gssencmode == "require" or not _are_hosts_known(configuration):
        return
    mode = spec.sslmode or "prefer"
    origins = (spec.origins.get(keyword) for keyword in ("sslmode", "host", "hostaddr"))
    origin = next((each for each in origins if each and not each.kind.is_default), None)
    # With verification every host needs a root certificate, also a local one.
    found = [
        h for h in hosts(spec.parameters) if not h.is_socket and (mode.startswith("verify") or _is_remote(h))
    ]
    if not found:
        return
    remote = list(dict.fromkeys(redact_value("connection.host", host.shown) for host in found))
    names = " and ".join(remote) if len(remote) < 3 else f"{remote[0]} and {len(remote) - 1} other hosts"
    if mode in ("disable", "allow", "prefer"):
        verb = "is" if mode == "disable" else "may be"
        suffix = "" if "sslmode" in configuration.connection.configured else " by default"
        message = f"the connection to {names} {verb} unencrypted: sslmode is {mode}{suffix}"
        yield PLAINTEXT_POSSIBLE("connection.sslmode", message, hint=_HINT, origin=origin)
    elif spec.sslrootcert or status(default_file("root.crt")) is not None:
        return
    elif mode == "require":
        if spec.channel_binding == "require":  # the server proves that it knows the password
            return
        message = f"sslmode=require encrypts the connection to {names} and verifies nothing"
        yield UNVERIFIED_SERVER("connection.sslmode", message, hint=_HINT, origin=origin)
    else:
        missing = f"sslrootcert is not set, and there is no {default_file('root.crt')}"
        message = f"sslmode={mode} has nothing to verify {names} with: {missing}"
        hint = "set sslrootcert, a file or `system`"
        yield NO_ROOT_CERTIFICATE("connection.sslrootcert", message, hint=hint, origin=origin)


def _are_hosts_known(configuration: Configuration) -> bool:
    """Return whether every part that names the server was understood."""
    connection = configuration.connection
    problems = [*connection.problems, *host_checks.check(configuration)]
    return not connection.redacted_keywords and not any(p.severity == "error" for p in problems)


def _is_remote(host: Host) -> bool:
    """Return whether a host may be beyond this machine, and beyond the private network of a platform.

    A name without a dot is that of a container or a service beside this one.
    """
    is_private = host.name.endswith(PRIVATE_DOMAINS) or not re.search("[.:]", host.name)
    return not is_loopback(host.address or host.name) and (bool(host.address) or not is_private)


def is_loopback(address: str) -> bool:
    """Return whether a text is a numeric loopback address, in however short a form; a name is none."""
    found = resolve_numeric(address)
    return found is not None and ip_address(found.partition("%")[0]).is_loopback
