"""Whether the host accepts connections: its name, its port or its socket."""

from __future__ import annotations

import os
import socket
from time import monotonic

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, milliseconds, passed

_HINTS = {
    ConnectionRefusedError: "is the server running, on this port, and does its listen_addresses include this"
    " address?",
    TimeoutError: "a firewall drops the packets, or no machine has this address",
    FileNotFoundError: "is the server running, and is this directory among its unix_socket_directories?",
    PermissionError: f"give the user {os.environ.get('USER', 'of this process')} access to the socket's"
    " directory",
}


def resolve(context: HostContext) -> Result | None:
    """Resolve the host's name; a numeric address, or a socket, needs no resolving."""
    host = context.host
    if host.is_socket or host.address:
        context.addresses = [host.address]
        return None
    started = monotonic()
    try:
        found = socket.getaddrinfo(host.name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        hint = "check the host's name, and that this machine's DNS knows it"
        return failed(f"{host.name} cannot be resolved: {_reason(error)}", hint)
    context.addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if context.addresses == [host.name]:
        return None
    duration = milliseconds(monotonic() - started)
    value = {"addresses": context.addresses, "milliseconds": duration}
    return passed(f"{', '.join(context.addresses)} ({duration} ms)", value=value)


def connect(context: HostContext) -> Result | None:
    """Connect to the first address that accepts, as libpq does; an empty one is the Unix socket."""
    if context.host.is_socket and not hasattr(socket, "AF_UNIX"):  # on Windows only libpq has them
        context.is_reachable = True  # the login decides
        return None
    failures: dict[str, OSError] = {}
    for address in context.addresses:
        started = monotonic()
        try:
            _open(context, address)
        except OSError as error:
            failures[address or context.host.socket] = error
            continue
        context.address, context.is_reachable = address, True
        duration = milliseconds(monotonic() - started)
        message = f"{address or 'the Unix socket'} accepts connections ({duration} ms)"
        return passed(message, value={"milliseconds": duration})
    if not failures:  # there is no address
        return None
    reasons = "; ".join(f"{address}: {_reason(error)}" for address, error in failures.items())
    hint = _HINTS.get(type(list(failures.values())[-1]), "check host and port, and the network in between")
    return failed(reasons, hint)


def _open(context: HostContext, address: str) -> None:
    host, timeout = context.host, context.connect_timeout
    if address:
        socket.create_connection((address, int(host.port)), timeout).close()
        return
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(f"\0{host.socket[1:]}" if host.socket.startswith("@") else host.socket)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
