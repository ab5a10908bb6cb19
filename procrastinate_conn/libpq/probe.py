"""libpq, asked what it makes of parameters; nothing is ever connected."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from procrastinate_conn.libpq.conninfo import conninfo, decode, encode
from procrastinate_conn.libpq.environment import override_environment
from procrastinate_conn.libpq.keywords import keywords

UNREACHABLE_HOST = "/dev/null/procrastinate-conn"
"""A socket directory that cannot exist, so that libpq judges parameters without reaching a server."""


PLACEHOLDER_USER = {"user": "-"}
"""A user for questions about other things: where the process has none that the system knows, libpq refuses
a connection that states none, whatever else it says."""


class ProbeResult(NamedTuple):
    """What libpq makes of a set of parameters.

    Parameters
    ----------
    info
        The value of every keyword, with libpq's defaults; unset ones are left out.
    rejection
        Why libpq would refuse them before it connects anywhere; None if it would not.
    """

    info: Mapping[str, str]
    rejection: str | None


def probe(parameters: Mapping[str, str], *, over_tcp: bool = False) -> ProbeResult:
    """Let libpq complete and judge parameters, without reaching a server.

    libpq starts to connect to a socket that cannot exist: everything that it decides before it
    connects is decided, and nothing is opened. A password is stated so that no password file is read.

    Parameters
    ----------
    parameters
        Keyword to value, without `host`, `hostaddr` and `service`.
    over_tcp
        Whether no host is a socket, for which libpq refuses ``gssencmode=require``.
    """
    stated = {
        **parameters,
        "host": UNREACHABLE_HOST,
        "hostaddr": "",
        "password": parameters.get("password") or "-",
    }
    gss = parameters.get("gssencmode")
    if over_tcp and gss == "require":
        if reason := _refuses_gss():
            return ProbeResult({}, reason)
        stated["gssencmode"] = "prefer"
    info, message = _start(stated)
    info.pop("host", None)
    if not parameters.get("password"):
        info.pop("password", None)
    if gss and "gssencmode" in info:
        info["gssencmode"] = gss
    return ProbeResult(info, None if UNREACHABLE_HOST in message else message)


def rejection(parameters: Mapping[str, str], *, over_tcp: bool = False) -> str | None:
    """Return why libpq refuses some of a connection's parameters, as `probe` does; None if it does not."""
    return probe({**PLACEHOLDER_USER, **parameters}, over_tcp=over_tcp).rejection


def lists_rejection(lists: Mapping[str, str]) -> str | None:
    """Return why libpq cannot match `host`, `hostaddr` and `port` with each other; None if it can.

    It is asked with a value that it refuses right after having matched them, and never connects.
    """
    refused = {**PLACEHOLDER_USER, "sslmode": "-", "password": "-"}
    empty = {"host": "", "hostaddr": "", "port": ""}
    _, message = _start({**empty, **lists, **refused})
    _, matched = _start({**empty, **refused})
    return None if message == matched else message


def keepalives_rejection(parameters: Mapping[str, str]) -> str | None:
    """Return why libpq, or the operating system, refuses keepalives for TCP; None if neither does.

    It is asked with a value that it refuses right after having set them on a socket, and never connects.

    Parameters
    ----------
    parameters
        ``keepalives``, and any of ``keepalives_...``.
    """
    message = _after_keepalives(parameters)
    accepting = (_after_good_keepalives, _after_keepalives_off)  # the second is asked where the first differs
    return None if any(message == says() for says in accepting) else message


def turns_keepalives_off(value: str) -> bool:
    """Return whether ``keepalives`` is off: 16.0 and libpqs of its time take an empty one for 0, too."""
    return _after_keepalives({"keepalives": value}) == _after_keepalives_off()


@cache
def _after_good_keepalives() -> str:
    return _after_keepalives({})


@cache
def _after_keepalives_off() -> str:
    """Return what the system says: libpq goes on to connect, to an address that TCP cannot connect to."""
    return _after_keepalives({"keepalives": "0"})


def _after_keepalives(parameters: Mapping[str, str]) -> str:
    refused = {"tcp_user_timeout": "-", "hostaddr": "255.255.255.255", "port": "", "password": "-"}
    return _start({**PLACEHOLDER_USER, **parameters, **refused})[1]


@cache
def _refuses_gss() -> str | None:
    """Return why libpq never requires GSSAPI: most often it was built without it."""
    somewhere = {**PLACEHOLDER_USER, "host": UNREACHABLE_HOST, "hostaddr": ""}
    refused = {**somewhere, "target_session_attrs": "-", "password": "-"}
    _, message = _start({**refused, "gssencmode": "require"})
    _, judged = _start({**refused, "gssencmode": "disable"})
    return None if message == judged else message


def system_service(service: str, variables: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Look a service up where only libpq knows to look: in the directory that was compiled into it.

    Parameters
    ----------
    service
        The name of the service, which the user's service file does not define.
    variables
        libpq's variables, which the service beats.

    Returns
    -------
    tuple
        What the service says other than the variables and libpq's defaults, and why it says nothing.
    """
    values: dict[str, str] = {}
    message = ""
    # What libpq refuses keeps it from connecting; what is stated is seen in the other question.
    questions = (
        {"sslmode": "-", "passfile": UNREACHABLE_HOST},
        {"target_session_attrs": "-", "password": "-"},
    )
    with override_environment(
        {**variables, "PGSERVICE": None, "PGSERVICEFILE": os.devnull, "PGSYSCONFDIR": None}
    ):
        for question in questions:
            without, _ = start(conninfo(question))
            told, message = start(conninfo({**question, "service": service}))
            values.update({k: v for k, v in told.items() if v != without.get(k)})
    values.pop("service", None)
    return values, message if not told else ""


@cache
def default_host() -> str:
    """Return where libpq connects to if no host is stated: a socket directory, or ``localhost``."""
    from psycopg import pq

    refused = {**PLACEHOLDER_USER, "host": "", "hostaddr": "", "port": "", "sslmode": "-", "password": "-"}
    connection = pq.PGconn.connect_start(encode(conninfo(refused)))
    try:
        return decode(connection.host)
    finally:
        connection.finish()


def start(conninfo: str) -> tuple[dict[str, str], str]:
    """Start to connect, which has to fail at once.

    Returns
    -------
    tuple
        What libpq makes of every keyword, unset ones left out, and what it says.
    """
    from psycopg import pq

    connection = pq.PGconn.connect_start(encode(conninfo))
    try:
        info = {row.keyword.decode(): decode(row.val) for row in connection.info if row.val}
        return info, connection.error_message.decode("utf-8", "replace").strip()
    finally:
        connection.finish()


def _start(stated: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Start to connect with what is stated, and with nothing else."""
    with override_environment(dict.fromkeys(_variables_beside(stated))):
        return start(conninfo(stated))


def _variables_beside(stated: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that libpq would read, and that nothing stated overrides.

    Where the process environment was read, that is ``PGSERVICE`` alone: the others are stated.
    """
    yield "PGSERVICE"
    if "sslmode" not in stated:
        yield "PGREQUIRESSL"
    for keyword in keywords().values():
        if keyword.variable is not None and keyword.name not in stated:
            yield keyword.variable
