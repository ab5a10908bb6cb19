"""What libpq would refuse, found before it connects."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence

from procrastinate_conn import libpq
from procrastinate_conn.connection.hosts import Host
from procrastinate_conn.libpq import CHOICES, INTEGERS
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import quote_value
from procrastinate_conn.resolution.connection import REJECTED_VALUE
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.suggestions import LEAVE_OUT_QUOTES, is_quoted, nearest

MISMATCHED_HOSTS = Rule(
    "PC206",
    "host, hostaddr and port that do not match in number",
    "libpq refuses lists of different lengths.",
    "Write as many of each as there are hosts, or one port for all of them.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1,db2\nPROCRASTINATE_CONN_CONNECTION__PORT=5432,5433,5434"
    ),
)

REJECTED_COMBINATION = Rule(
    "PC208",
    "values that libpq refuses together",
    "Each value is fine by itself, but libpq refuses the combination when it connects.",
    "Change one of the values that the message names.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=require\nPROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=system"
    ),
)


Stated = Mapping[str, SourcedValue]
"""Keyword to the text that won, and where it is written."""

Refusal = Callable[[Mapping[str, str]], str | None]
"""Asks a libpq about values; returns why it refuses them, or None if it does not."""


def validate_texts(stated: Stated) -> Iterator[Problem]:
    """Yield what libpq cannot be told, or no driver passes on.

    Parameters
    ----------
    stated
        Keyword to value; the values are text, the keywords are libpq's.
    """
    for keyword, value in text(stated).items():
        if reason := libpq.unencodable(value):
            yield _refused(keyword, stated, reason, "remove it")
        elif any("\udc80" <= character <= "\udcff" for character in value):
            hint = "write the file or the variable in UTF-8"
            yield _refused(keyword, stated, "it is not UTF-8, and no driver could pass it on", hint)


def validate_lists(stated: Stated) -> Iterator[Problem]:
    """Yield what libpq would refuse of the lists of hosts, addresses and ports."""
    problems = [*_judge_addresses(stated), *_judge_ports(stated)]
    yield from problems or _judge_counts(stated)


def validate_hosts(stated: Stated, tried: Sequence[Host]) -> Iterator[Problem]:
    """Yield what libpq would refuse only where it connects through a socket, or only through TCP.

    Parameters
    ----------
    stated
        Keyword to value.
    tried
        The hosts.
    """
    if any(host.is_socket and _is_too_long(host.socket) for host in tried):
        hint = "use a shorter directory, or a symbolic link to it"
        yield _refused("host", stated, "the path of the socket is too long for this system", hint)
    if not all(host.is_socket for host in tried):
        yield from _judge_tcp(stated)


def validate_integer(keyword: str, stated: Stated) -> Iterator[Problem]:
    """Yield what is wrong with a number that libpq cannot be asked about."""
    if keyword in stated and libpq.integer(str(stated[keyword].value)) is None:
        yield _refused_number(keyword, stated)


def validate_values(stated: Stated, refusal: Refusal) -> Iterator[Problem]:
    """Find out what libpq refuses: it is asked about each value by itself, and about combinations.

    Parameters
    ----------
    stated
        Keyword to value, without the keywords that say where the hosts are.
    refusal
        Asks libpq.
    """
    values = text(stated)
    guilty = {k: reason for k, v in values.items() if (reason := refusal({k: v}))}
    for keyword, reason in guilty.items():
        yield _refused_value(keyword, stated, reason)
    innocent = {k: v for k, v in values.items() if k not in guilty}
    if reason := refusal(innocent):
        yield _refused_together(innocent, stated, reason, refusal)


def refused_user(reason: str) -> Problem:
    """Report that there is no user to log in as: none is stated, and the system has none for the process."""
    message = f"libpq refuses to connect without user: {reason}"
    return REJECTED_VALUE("connection.user", message, hint="state a user")


def text(stated: Stated) -> dict[str, str]:
    """Return the values without their origins."""
    return {keyword: str(sourced.value) for keyword, sourced in stated.items()}


def _judge_addresses(stated: Stated) -> Iterator[Problem]:
    """Judge addresses as libpq does, by asking the resolver for a numeric address and nothing else."""
    for address in filter(None, _elements("hostaddr", stated)):
        try:
            socket.getaddrinfo(address.encode(), 5432, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except OSError:
            value = quote_value("hostaddr", address, stated["hostaddr"])
            hint = "write the address alone, as 127.0.0.1 or ::1, and put a name into host"
            yield _refused("hostaddr", stated, f"{value} is not a numeric address", hint)


def _judge_ports(stated: Stated) -> Iterator[Problem]:
    for port in filter(None, _elements("port", stated)):
        if libpq.rejection({"port": port}):
            # What libpq takes for a port may be the rest of a password that was not percent-encoded.
            hint = "write a number from 1 to 65535"
            if stated["port"].from_dsn:
                hint += "; in a URI percent-encode /, ?, # and @ in the user and the password"
            if is_quoted(stated["port"].value):
                hint = LEAVE_OUT_QUOTES
            value = quote_value("port", port, stated["port"])
            yield _refused("port", stated, f"{value} is not a port", hint)
            return


def _judge_counts(stated: Stated) -> Iterator[Problem]:
    """Judge whether there are as many hosts, addresses and ports, as libpq counts them."""
    lists = {k: str(stated[k].value) for k in ("host", "hostaddr", "port") if k in stated}
    if not any("," in value for value in lists.values()) or not libpq.lists_rejection(lists):
        return
    counts = {k: len(value.split(",")) for k, value in lists.items() if value}
    described = " and ".join(f"{count} in {k} ({stated[k].origin})" for k, count in counts.items())
    fewest = min(counts, key=lambda k: counts[k])
    yield MISMATCHED_HOSTS(
        f"connection.{fewest}",
        f"libpq cannot match the lists: {described}",
        hint="write as many of each as there are hosts, or one port for all of them",
        origin=stated[fewest].origin,
    )


def _is_too_long(path: str) -> bool:
    """Ask the system, of a path as long as this one that cannot exist."""
    if not hasattr(socket, "AF_UNIX"):  # Python on Windows
        return False
    impossible = libpq.UNREACHABLE_HOST.ljust(len(path.encode()), "-")
    with socket.socket(socket.AF_UNIX) as unconnected:
        try:
            unconnected.connect(impossible)
        except OSError as error:
            return error.errno is None  # Python's own error: there is no room for it
    return False


def _judge_tcp(stated: Stated) -> Iterator[Problem]:
    """Judge what libpq sets on a TCP socket; with keepalives off it sets nothing, and looks at nothing."""
    values = {k: str(v.value) for k, v in stated.items() if k.startswith("keepalives")}
    wrong = list(validate_integer("tcp_user_timeout", stated))
    if wrong and "keepalives" in values and libpq.turns_keepalives_off(values["keepalives"]):
        return
    yield from wrong
    if values and libpq.keepalives_rejection(values):
        for keyword, value in values.items():
            if libpq.keepalives_rejection({keyword: value}):
                yield _refused_number(keyword, stated)


def _refused_number(keyword: str, stated: Stated) -> Problem:
    value = str(stated[keyword].value)
    fault = "not an integer" if libpq.integer(value) is None else "too large or too small"
    hint = "write 0 or 1" if keyword == "keepalives" else f"write a whole number of {INTEGERS[keyword]}"
    hint = LEAVE_OUT_QUOTES if is_quoted(value) else hint
    return _refused(keyword, stated, f"{quote_value(keyword, value, stated[keyword])} is {fault}", hint)


def _refused_value(keyword: str, stated: Stated, reason: str) -> Problem:
    choices = CHOICES.get(keyword, ())
    value = str(stated[keyword].value)
    if not choices:
        hint = "state a user" if keyword == "user" else "see libpq's documentation of it"
        return _refused(keyword, stated, _without_value(reason), hint)
    if value in choices:  # refused for what libpq lacks, or beside another keyword's default
        hint = f"libpq was built without {value}" if "compiled" in reason else "change one of the two"
        return _refused(keyword, stated, reason, hint)
    near = nearest(value, choices)
    hint = f"did you mean {near}?" if near else f"write one of {', '.join(choices)}"
    quoted = quote_value(keyword, value, stated[keyword])
    return _refused(keyword, stated, f"{quoted} is none of {', '.join(choices)}", hint)


def _refused_together(values: Mapping[str, str], stated: Stated, reason: str, refusal: Refusal) -> Problem:
    """Report a combination: the keywords without any one of which libpq has no objection."""
    involved = [k for k in values if refusal({o: v for o, v in values.items() if o != k}) is None]
    places = ", ".join(f"{keyword} ({stated[keyword].origin})" for keyword in involved)
    return REJECTED_COMBINATION(
        f"connection.{involved[0]}" if involved else "connection",
        f"libpq refuses these together: {places}: {reason}",
        hint="change one of them",
        origin=stated[involved[0]].origin if involved else None,
    )


def _refused(keyword: str, stated: Stated, reason: str, hint: str) -> Problem:
    return REJECTED_VALUE(
        f"connection.{keyword}",
        f"libpq refuses {keyword}: {reason}",
        hint=hint,
        origin=stated[keyword].origin,
    )


def _elements(keyword: str, stated: Stated) -> list[str]:
    return str(stated[keyword].value).split(",") if keyword in stated else []


def _without_value(reason: str) -> str:
    return re.sub(r'[:,]? *"(?s:.*)"', "", reason)
