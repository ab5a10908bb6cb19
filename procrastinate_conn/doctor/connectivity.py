"""Whether the host is there: its name, and a connection without a word said."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from time import monotonic

from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, milliseconds, passed


def examine(patient: Patient) -> Iterator[Result]:
    """Look the host up, and connect to it."""
    if patient.host.is_socket:
        if hasattr(socket, "AF_UNIX"):
            yield _connect_to_socket(patient)
        else:  # on Windows libpq can use it, and Python cannot: the login will tell
            patient.is_reached = True
        return
    addresses = [patient.host.address] if patient.host.address else []
    if not addresses:
        begun = monotonic()
        try:
            addresses = _addresses(patient.host.name)
        except (OSError, UnicodeError) as error:
            yield failed(
                "resolve",
                f"{patient.host.name} cannot be looked up: {_reason(error)}",
                "check the host's name, and that this machine's DNS knows it",
            )
            return
        if addresses != [patient.host.name]:
            seconds = monotonic() - begun
            yield passed(
                "resolve",
                f"{', '.join(addresses)} ({milliseconds(seconds)} ms)",
                value={"addresses": addresses, "milliseconds": milliseconds(seconds)},
            )
    yield _connect(patient, addresses)


def _addresses(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _connect(patient: Patient, addresses: list[str]) -> Result:
    """Connect to the first address that accepts, as libpq does."""
    failures: dict[str, OSError] = {}
    for address in addresses:
        begun = monotonic()
        try:
            socket.create_connection((address, int(patient.host.port)), patient.patience).close()
        except OSError as error:
            failures[address] = error
            continue
        seconds = milliseconds(monotonic() - begun)
        patient.address, patient.is_reached = address, True
        return passed("connect", f"{address} accepts ({seconds} ms)", value={"milliseconds": seconds})
    reasons = "; ".join(f"{address}: {_reason(error)}" for address, error in failures.items())
    return failed("connect", reasons, _hint(list(failures.values())[-1]))


def _connect_to_socket(patient: Patient) -> Result:
    path = patient.host.socket
    begun = monotonic()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(patient.patience)
        try:
            probe.connect(f"\0{path[1:]}" if path.startswith("@") else path)
        except OSError as error:
            return failed("connect", f"{path}: {_reason(error)}", _hint(error))
    seconds = milliseconds(monotonic() - begun)
    patient.is_reached = True
    return passed("connect", f"the Unix socket accepts ({seconds} ms)", value={"milliseconds": seconds})


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]


def _hint(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "is the server running, on this port, and does its listen_addresses include this address?"
    if isinstance(error, TimeoutError):
        return "a firewall drops what is sent there, or the address is nobody's"
    if isinstance(error, FileNotFoundError):
        return "is the server running, and is this directory among its unix_socket_directories?"
    if isinstance(error, PermissionError):
        return f"let the user {os.environ.get('USER', 'of this process')} at the socket's directory"
    return "check host and port, and the network between here and there"
