"""Values that psycopg's libpq accepts, and the driver of the connector rejects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from procrastinate_conn import drivers, libpq
from procrastinate_conn.connection.hosts import hosts, resolve_numeric
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.libpq.environment import override_environment
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import quote_value
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY, SERVER_KINDS, ConnectorKind

OLD_LIBPQ = Rule(
    "PC402",
    "keyword that the driver's libpq does not know",
    "psycopg and psycopg2 contain libpqs of different versions; the older one rejects the connection.",
    "Choose a connector on the newer libpq, or leave the keyword out.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_CONNECTION__MIN_PROTOCOL_VERSION=3.0",
        given="psycopg2 has a libpq older than 18, and psycopg has not",
    ),
    fault_in="name",
    needs_kind=True,
)

REJECTED_BY_DRIVER = Rule(
    "PC404",
    "value that the driver cannot connect with",
    "psycopg's libpq accepts the value, but the driver of the connector rejects it at every connection.",
    "Choose another connector, or change the value.",
    example=Example(
        "PROCRASTINATE_CONN_DSN=host=@postgres dbname=jobs", given="PostgreSQL listens on an abstract socket"
    ),
    needs_kind=True,
)

_ON_PSYCOPG = " or ".join(kind for kind in SERVER_KINDS if not REGISTRY[kind].uses_psycopg2)
_HINT = f"choose the {_ON_PSYCOPG} connector, or install a newer psycopg2"


def validate_driver(
    kind: ConnectorKind, effective: Mapping[str, SourcedValue], spec: ConnectionSpec | None
) -> Iterator[Problem]:
    """Yield what the installed driver of a kind would reject, without connecting.

    There is no spec if psycopg's libpq rejects the values already.
    """
    known = drivers.keywords(kind)
    for keyword, sourced in effective.items():
        if keyword not in known:
            message = f"{keyword} is unknown to the {_libpq_of(kind)}; the {_libpq_of(DEFAULT_KIND)} knows it"
            yield OLD_LIBPQ(f"connection.{keyword}", message, hint=_HINT, origin=sourced.origin)
    if spec is None:
        return
    yield from _validate_keywords(kind, effective, spec)
    if REGISTRY[kind].uses_psycopg2:
        yield from _validate_values(kind, effective, spec)
    if REGISTRY[kind].resolves_hosts:
        yield from _validate_resolution(effective, spec)


def _validate_keywords(
    kind: ConnectorKind, effective: Mapping[str, SourcedValue], spec: ConnectionSpec
) -> Iterator[Problem]:
    """Yield the keywords that the driver would ignore: it has a protocol of its own, without libpq."""
    unsupported = dict(REGISTRY[kind].unsupported_keywords)
    if spec.sslmode == "verify-full" and "sslsni" in unsupported:
        unsupported["sslsni"] = ("1",)  # Python's ssl names the host to the server if it verifies the name
    for keyword, neutral in unsupported.items():
        value = spec.parameters.get(keyword)
        if keyword not in effective or not value or value in neutral:
            continue
        others = [other for other, info in REGISTRY.items() if keyword not in info.unsupported_keywords]
        quoted = quote_value(keyword, value, effective[keyword])
        message = f"{kind} cannot carry out {quoted} for {keyword}, and would ignore it"
        hint = f"choose the {' or '.join(others[:2])} connector, or leave {keyword} out"
        yield _rejected(keyword, effective, message, hint)


def _validate_values(
    kind: ConnectorKind, effective: Mapping[str, SourcedValue], spec: ConnectionSpec
) -> Iterator[Problem]:
    """Let psycopg2's libpq validate the values: together, and if it rejects those, each by itself."""
    over_tcp = not any(host.is_socket for host in hosts(spec.parameters))
    known = {k: v for k, v in spec.parameters.items() if k in drivers.keywords(kind)}
    if (reason := _rejection(kind, known, over_tcp=over_tcp)) is None:
        return
    rejecting, accepting = f"the {_libpq_of(kind)} rejects", f"the {_libpq_of(DEFAULT_KIND)} accepts"
    rejected = [k for k, v in known.items() if k in effective and _rejection(kind, {k: v}, over_tcp=over_tcp)]
    for keyword in rejected:
        quoted = quote_value(keyword, known[keyword], effective[keyword])
        yield _rejected(keyword, effective, f"{rejecting} {quoted} for {keyword}; {accepting} it", _HINT)
    if not rejected:
        yield REJECTED_BY_DRIVER("connection", f"{rejecting} what {accepting}: {reason}", hint=_HINT)


def _rejection(kind: ConnectorKind, values: Mapping[str, str], *, over_tcp: bool) -> str | None:
    """Let psycopg2 connect to a socket that cannot exist, and return what else keeps it from connecting."""
    import psycopg2

    probed = {**libpq.PLACEHOLDER_USER, **values, **libpq.UNREACHABLE}
    if over_tcp and probed.get("gssencmode") == "require":
        probed["gssencmode"] = "prefer"  # libpq rejects it for sockets alone
    conninfo = ConnectionSpec.model_validate(probed).conninfo(drivers.keywords(kind))
    try:
        with override_environment({"PGSERVICE": None}):
            psycopg2.connect(conninfo).close()
    except psycopg2.OperationalError as error:
        return None if libpq.UNREACHABLE_HOST in str(error) else str(error).strip()
    return None


def _validate_resolution(effective: Mapping[str, SourcedValue], spec: ConnectionSpec) -> Iterator[Problem]:
    """Yield what psycopg cannot resolve: it does so itself, before libpq gets the hosts."""
    candidates = hosts(spec.parameters)
    if any(host.is_socket and host.name.startswith("@") for host in candidates):
        message = "psycopg cannot connect to an abstract socket: it resolves the name as that of a host"
        hint = "name a socket directory, or choose the psycopg2 connector"
        yield _rejected("host", effective, message, hint)
    ports = [host.port for host in candidates if not host.is_socket and not host.address]
    if any(resolve_numeric("127.0.0.1", port) is None for port in ports):
        message = "psycopg cannot resolve a host together with this port: libpq alone ignores its blanks"
        yield _rejected("port", effective, message, "remove the blanks")


def _rejected(keyword: str, effective: Mapping[str, SourcedValue], message: str, hint: str) -> Problem:
    origin = effective[keyword].origin
    return REJECTED_BY_DRIVER(f"connection.{keyword}", message, hint=hint, origin=origin)


def _libpq_of(kind: ConnectorKind) -> str:
    driver = "psycopg2" if REGISTRY[kind].uses_psycopg2 else "psycopg"
    return f"libpq {drivers.libpq_version(kind) // 10000} of {driver}"
