"""What psycopg's libpq accepts, and the driver of the chosen connector does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from procrastinate_conn import drivers, libpq
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.libpq.environment import override_environment
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import quote_value
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.rules import Example, Rule

OLD_LIBPQ = Rule(
    "PC402",
    "keyword that the driver's libpq does not know",
    "psycopg and psycopg2 carry libpqs of different versions; the older one refuses the connection.",
    "Choose a connector on the newer libpq, or leave the keyword out.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_CONNECTION__MIN_PROTOCOL_VERSION=3.0",
        given="psycopg2 has a libpq older than 18, and psycopg has not",
    ),
    fault_in="name",
)

REJECTED_BY_DRIVER = Rule(
    "PC404",
    "value that the driver cannot connect with",
    "psycopg's libpq accepts the value, but the driver of the connector refuses it at every connection.",
    "Choose another connector, or change the value.",
    example=Example(
        "PROCRASTINATE_CONN_DSN=host=@postgres dbname=jobs", given="PostgreSQL listens on an abstract socket"
    ),
)


def validate_driver(
    kind: ConnectorKind, stated: Mapping[str, SourcedValue], spec: ConnectionSpec | None
) -> Iterator[Problem]:
    """Yield what the driver of a kind, which is installed, would refuse; nothing is connected.

    Parameters
    ----------
    kind
        The connector.
    stated
        The values that were stated.
    spec
        What libpq is told; None where psycopg's libpq refuses it already.
    """
    unknown = {k: sourced for k, sourced in stated.items() if k not in drivers.keywords(kind)}
    for keyword, sourced in unknown.items():
        yield OLD_LIBPQ(
            f"connection.{keyword}",
            f"{keyword} is unknown to the {_libpq_of(kind)}; the {_libpq_of(ConnectorKind.PSYCOPG)} knows it",
            hint=_OTHERWISE,
            origin=sourced.origin,
        )
    if spec is None:
        return
    if REGISTRY[kind].uses_psycopg2:
        yield from _refused_values(kind, {k: v for k, v in stated.items() if k not in unknown}, spec)
    if REGISTRY[kind].resolves_hosts:
        yield from _looked_up(stated, spec)


_ON_PSYCOPG = " or ".join(kind for kind, info in REGISTRY.items() if not info.uses_psycopg2)
_OTHERWISE = f"choose the {_ON_PSYCOPG} connector, or install a newer psycopg2"


def _refused_values(
    kind: ConnectorKind, stated: Mapping[str, SourcedValue], spec: ConnectionSpec
) -> Iterator[Problem]:
    """Ask psycopg2's libpq about the values."""
    over_tcp = not any(host.is_socket for host in hosts(spec.parameters))
    known = {k: v for k, v in spec.parameters.items() if k in drivers.keywords(kind)}
    if (reason := _refusal(kind, known, over_tcp=over_tcp)) is None:
        return
    guilty = [k for k, v in known.items() if k in stated and _refusal(kind, {k: v}, over_tcp=over_tcp)]
    for keyword in guilty:
        yield REJECTED_BY_DRIVER(
            f"connection.{keyword}",
            f"the {_libpq_of(kind)} refuses {quote_value(keyword, known[keyword], stated[keyword])}"
            f" for {keyword}; the {_libpq_of(ConnectorKind.PSYCOPG)} accepts it",
            hint=_OTHERWISE,
            origin=stated[keyword].origin,
        )
    if not guilty:
        yield REJECTED_BY_DRIVER(
            "connection",
            f"the {_libpq_of(kind)} refuses what the {_libpq_of(ConnectorKind.PSYCOPG)} accepts: {reason}",
            hint=_OTHERWISE,
        )


def _refusal(kind: ConnectorKind, values: Mapping[str, str], *, over_tcp: bool) -> str | None:
    """Let psycopg2 connect to a socket that cannot exist, and return what else keeps it from connecting."""
    import psycopg2

    somewhere = {"host": libpq.UNREACHABLE_HOST, "hostaddr": "", "port": "", "password": "-"}
    stated = {**libpq.PLACEHOLDER_USER, **values, **somewhere}
    if over_tcp and stated.get("gssencmode") == "require":
        stated["gssencmode"] = "prefer"  # libpq refuses it for sockets alone
    conninfo = ConnectionSpec.model_validate(stated).conninfo(drivers.keywords(kind))
    try:
        with override_environment({"PGSERVICE": None}):
            psycopg2.connect(conninfo).close()
    except psycopg2.OperationalError as error:
        return None if libpq.UNREACHABLE_HOST in str(error) else str(error).strip()
    return None


def _looked_up(stated: Mapping[str, SourcedValue], spec: ConnectionSpec) -> Iterator[Problem]:
    """Report what psycopg cannot look up: it does so itself, before libpq sees the hosts."""
    tried = hosts(spec.parameters)
    if any(host.is_socket and host.name.startswith("@") for host in tried):
        yield REJECTED_BY_DRIVER(
            "connection.host",
            "psycopg cannot connect to an abstract socket: it looks the name up as a host's",
            hint="name a socket directory, or choose the psycopg2 connector",
            origin=stated["host"].origin,
        )
    if any(not host.is_socket and not host.address and not _is_service(host.port) for host in tried):
        yield REJECTED_BY_DRIVER(
            "connection.port",
            "psycopg cannot look up a host together with this port, of which libpq would ignore the blanks",
            hint="remove the blanks",
            origin=stated["port"].origin,
        )


def _is_service(port: str) -> bool:
    """Tell whether the resolver takes a text for a port, which is what psycopg asks it."""
    try:
        socket.getaddrinfo(b"127.0.0.1", port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    return True


def _libpq_of(kind: ConnectorKind) -> str:
    driver = "psycopg2" if REGISTRY[kind].uses_psycopg2 else "psycopg"
    return f"libpq {drivers.libpq_version(kind) // 10000} of {driver}"
