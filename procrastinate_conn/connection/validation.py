"""From the effective values to a `ConnectionSpec`, with everything that libpq would reject in them."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.artifacts import hint_for
from procrastinate_conn.connection.hosts import Host, hosts, resolve_numeric
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.libpq import CHOICES, INTEGERS
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import quote_value
from procrastinate_conn.resolution.connection import REJECTED_VALUE
from procrastinate_conn.sources import password_file

MISMATCHED_HOSTS = Rule(
    "PC206",
    "host, hostaddr and port of different lengths",
    "libpq rejects lists of different lengths.",
    "Write as many of each as there are hosts, or one port for all of them.",
    example=Example("PROCRASTINATE_CONN_DSN=host=db1,db2 port=5432,5433,5434 dbname=jobs"),
)

REJECTED_COMBINATION = Rule(
    "PC208",
    "values that libpq rejects together",
    "Each value is valid by itself, but libpq rejects the combination when it connects.",
    "Change one of the values that the message names.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://db1/jobs?sslmode=require&sslrootcert=system"),
)

_IPV6 = r"(?=.*:.*:)[0-9a-fA-F:.]+(%\w+)?(:[0-9]*)?"

_LISTS = ("host", "hostaddr", "port")
_ADDRESS = (*_LISTS, "service", "servicefile")
"""Keywords that say where to connect to; libpq is probed without them."""

Sourced = Mapping[str, SourcedValue]
"""Keyword to its effective value, which is text, and where that is written."""


def as_texts(effective: Sourced) -> dict[str, str]:
    """Return the values without their origins."""
    return {keyword: str(sourced.value) for keyword, sourced in effective.items()}


def build_spec(
    effective: Sourced,
    redacted_keywords: Collection[str] = (),
    session: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
) -> tuple[ConnectionSpec | None, list[Problem]]:
    """Let libpq complete and validate the effective values.

    Returns the spec, or None if libpq would reject the values, and what it would reject. The other arguments
    are those of `ConnectionSpec.from_parameters`.
    """
    if problems := list(_validate_encoding(effective)):
        return None, problems
    problems = [*_validate_addresses(effective), *_validate_ports(effective)]
    if not problems:
        problems += _validate_lengths(effective)
    values = as_texts(effective)
    candidates = [] if problems else hosts(values)
    over_tcp = not any(host.is_socket for host in candidates)
    probed = {keyword: sourced for keyword, sourced in effective.items() if keyword not in _ADDRESS}
    result = libpq.probe(as_texts(probed), over_tcp=over_tcp)
    problems += _validate_hosts(effective, candidates)
    problems += _validate_integer("connect_timeout", effective)
    if result.rejection:
        problems += _validate_values(probed, result.rejection, over_tcp=over_tcp)
    if problems:
        return None, problems
    lists = {keyword: values[keyword] for keyword in _LISTS if keyword in values}
    parameters = {**values, **result.info, **lists}
    has_password = parameters.get("password") or parameters.get("passfile")
    if not has_password and (default := password_file.default_file()):
        parameters["passfile"] = default
    parameters = {keyword: parameters[keyword] for keyword in libpq.keywords() if keyword in parameters}
    origins = {k: v.origin for k, v in effective.items() if v.value}
    spec = ConnectionSpec.from_parameters(
        parameters,
        {k: origins.get(k, Origin(LIBPQ_DEFAULT.name)) for k, value in parameters.items() if value},
        redacted_keywords=parameters.keys() & set(redacted_keywords),
        session=session,
        known=known,
    )
    return spec, []


def _validate_encoding(effective: Sourced) -> Iterator[Problem]:
    """Yield the values that no connection string can contain, or that no driver passes on."""
    for keyword, value in as_texts(effective).items():
        if reason := libpq.unencodable(value):
            yield _rejected(keyword, effective, reason, "remove it")
        elif any("\udc80" <= character <= "\udcff" for character in value):
            hint = "write the file or the variable in UTF-8"
            yield _rejected(keyword, effective, "it is not UTF-8, and no driver could pass it on", hint)


def _validate_hosts(effective: Sourced, candidates: Sequence[Host]) -> Iterator[Problem]:
    """Yield what libpq would reject only through a socket, or only over TCP."""
    if any(host.is_socket and _is_too_long(host.socket) for host in candidates):
        hint = "use a shorter directory, or a symbolic link to it"
        yield _rejected("host", effective, "the path of the socket is too long for this system", hint)
    if not all(host.is_socket for host in candidates):
        yield from _validate_tcp(effective)


def _validate_integer(keyword: str, effective: Sourced) -> Iterator[Problem]:
    """Yield what is wrong with an integer that libpq does not read before it connects."""
    if keyword in effective and libpq.integer(str(effective[keyword].value)) is None:
        yield _rejected_integer(keyword, effective)


def _validate_values(effective: Sourced, combined_reason: str, *, over_tcp: bool) -> Iterator[Problem]:
    """Find out which values libpq rejects, each by itself or together, if it rejects all together.

    If it rejects none of them, it is the user, by default the system's, that the process lacks.
    """
    rejection, values = partial(libpq.rejection, over_tcp=over_tcp), as_texts(effective)
    rejected = {k: reason for k, value in values.items() if (reason := rejection({k: value}))}
    for keyword, reason in rejected.items():
        yield _rejected_value(keyword, effective, reason)
    accepted = {keyword: value for keyword, value in values.items() if keyword not in rejected}
    if reason := rejection(accepted):
        involved = [k for k in accepted if not rejection({o: v for o, v in accepted.items() if o != k})]
        yield _rejected_combination(involved, effective, reason)
    elif not rejected:
        message = f"libpq does not connect without user: {combined_reason}"
        yield REJECTED_VALUE("connection.user", message, hint="set a user")


def _validate_addresses(effective: Sourced) -> Iterator[Problem]:
    """Ask the resolver for a numeric address and nothing else, as libpq does."""
    for address in as_texts(effective).get("hostaddr", "").split(","):
        if address and resolve_numeric(address) is None:
            quoted = quote_value("hostaddr", address, effective["hostaddr"])
            hint = "write the address alone, as 127.0.0.1 or ::1; a name or a socket's directory is host"
            yield _rejected("hostaddr", effective, f"{quoted} is not a numeric address", hint)


def _validate_ports(effective: Sourced) -> Iterator[Problem]:
    """Yield the first invalid port: what libpq takes for others may be the rest of a password."""
    values = as_texts(effective)
    ports, names = (values.get(keyword, "").split(",") for keyword in ("port", "host"))
    invalid = next((i for i, p in enumerate(ports) if p and libpq.rejection({"port": p})), None)
    if invalid is None:
        return
    port, name = ports[invalid], names[invalid] if invalid < len(names) else ""
    hint = "write a number from 1 to 65535"
    if effective["port"].from_dsn and re.fullmatch(_IPV6, f"{name}:{port}"):
        hint = "write brackets around an IPv6 address: [2001:db8::5]:5432"
    elif effective["port"].from_dsn and name.startswith("/"):
        hint = "write the directory of a socket as ?host=, or : as %3A"
    elif effective["port"].from_dsn:
        hint += "; in a URI percent-encode /, ?, # and @ in the user and the password"
    quoted = quote_value("port", port, effective["port"])
    yield _rejected("port", effective, f"{quoted} is not a port", hint)


def _validate_lengths(effective: Sourced) -> Iterator[Problem]:
    """Yield a problem if there are not as many hosts, addresses and ports, as libpq counts them."""
    lists = {k: str(effective[k].value) for k in _LISTS if k in effective}
    if not any("," in value for value in lists.values()) or libpq.lists_match(lists):
        return
    lengths = {k: len(value.split(",")) for k, value in lists.items() if value}
    described = " and ".join(f"{length} in {k} ({effective[k].origin})" for k, length in lengths.items())
    shortest = min(lengths, key=lengths.__getitem__)
    message = f"libpq cannot match the lists: {described}"
    hint = "write as many of each as there are hosts, or one port for all of them"
    yield MISMATCHED_HOSTS(f"connection.{shortest}", message, hint=hint, origin=effective[shortest].origin)


def _is_too_long(path: str) -> bool:
    """Ask the system, with a path of the same length that cannot exist."""
    if not hasattr(socket, "AF_UNIX"):  # Python on Windows
        return False
    impossible = libpq.UNREACHABLE_HOST.ljust(len(path.encode()), "-")
    with socket.socket(socket.AF_UNIX) as unconnected:
        try:
            unconnected.connect(impossible)
        except OSError as error:
            return error.errno is None  # Python's own error: there is no room for it
    return False


def _validate_tcp(effective: Sourced) -> Iterator[Problem]:
    """Validate what libpq sets on a TCP socket; with keepalives off it reads none of it."""
    values = {k: str(v.value) for k, v in effective.items() if k.startswith("keepalives")}
    problems = list(_validate_integer("tcp_user_timeout", effective))
    if problems and "keepalives" in values and libpq.turns_keepalives_off(values["keepalives"]):
        return
    yield from problems
    if values and not libpq.accepts_keepalives(values):
        for keyword, value in values.items():
            if not libpq.accepts_keepalives({keyword: value}):
                yield _rejected_integer(keyword, effective)


def _rejected_integer(keyword: str, effective: Sourced) -> Problem:
    value = str(effective[keyword].value)
    fault = "not an integer" if libpq.integer(value) is None else "too large or too small"
    hint = "write 0 or 1" if keyword == "keepalives" else f"write a whole number of {INTEGERS[keyword]}"
    quoted = quote_value(keyword, value, effective[keyword])
    return _rejected(keyword, effective, f"{quoted} is {fault}", hint)


def _rejected_value(keyword: str, effective: Sourced, reason: str) -> Problem:
    choices, value = CHOICES.get(keyword, ()), str(effective[keyword].value)
    if not choices:
        hint = "set a user" if keyword == "user" else "see libpq's documentation of it"
        return _rejected(keyword, effective, re.sub(r'[:,]? *"(?s:.*)"', "", reason), hint)
    if value in choices:  # rejected for what libpq lacks, or beside another keyword's default
        hint = f"libpq was built without {value}" if "compiled" in reason else "change one of the two"
        return _rejected(keyword, effective, reason, hint)
    near, listed = suggestions.value(keyword, value, choices), ", ".join(choices)
    hint = f"did you mean {near}?" if near else f"write one of {listed}"
    quoted = quote_value(keyword, value, effective[keyword])
    return _rejected(keyword, effective, f"{quoted} is none of {listed}", hint)


def _rejected_combination(involved: Sequence[str], effective: Sourced, reason: str) -> Problem:
    """Report the keywords each of which can be left out for libpq to accept the rest."""
    origins = ", ".join(f"{keyword} ({effective[keyword].origin})" for keyword in involved)
    message, hint = f"libpq rejects these together: {origins}: {reason}", "change one of them"
    setting = f"connection.{involved[0]}" if involved else "connection"
    origin = effective[involved[0]].origin if involved else None
    return REJECTED_COMBINATION(setting, message, hint=hint, origin=origin)


def _rejected(keyword: str, effective: Sourced, reason: str, hint: str) -> Problem:
    message, sourced = f"libpq rejects {keyword}: {reason}", effective[keyword]
    hint = hint_for(sourced.value, hint, sourced.origin.source)
    return REJECTED_VALUE(f"connection.{keyword}", message, hint=hint, origin=sourced.origin)
