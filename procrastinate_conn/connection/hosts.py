"""The hosts that libpq tries in turn, from its three lists."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from itertools import zip_longest
from typing import NamedTuple

from procrastinate_conn import libpq


class Host(NamedTuple):
    """One host, with libpq's defaults for what is empty.

    Its name is that of a host, an address, a socket directory, or an abstract socket (``@name``). It may be
    empty beside a numeric address, which libpq connects to whatever the name is.
    """

    name: str
    address: str
    port: str

    def __str__(self) -> str:
        return f"{self.shown}:{self.port}"

    @property
    def shown(self) -> str:
        """Its name, as messages have it, or its address if it has none."""
        return self.name or self.address

    @property
    def is_socket(self) -> bool:
        """Whether libpq connects to it through a Unix-domain socket."""
        return not self.address and (self.name.startswith(("/", "@")) or self.name[1:3] in (":/", ":\\"))

    @property
    def socket(self) -> str:
        """The path of its socket."""
        return f"{self.name}/.s.PGSQL.{libpq.integer(self.port)}"

    @property
    def passfile_name(self) -> str:
        """Its name in a password file."""
        if self.name == libpq.default_host():  # whether or not there is an address as well
            return "localhost"
        return self.shown


def hosts(values: Mapping[str, str]) -> list[Host]:
    """Return the hosts of valid parameters; `host`, `hostaddr` and `port` may be absent or empty."""
    names, addresses, ports = (values.get(keyword, "").split(",") for keyword in ("host", "hostaddr", "port"))
    if len(ports) == 1:
        ports *= max(len(names), len(addresses))
    default_port = libpq.unset_value("port")
    return [
        Host(name or ("" if address else libpq.default_host()), address, port or default_port)
        for name, address, port in zip_longest(names, addresses, ports, fillvalue="")
    ]


def resolve_numeric(address: str, port: str | int = 5432) -> str | None:
    """Return a numeric address in full, as libpq resolves it; None for a name, and for no valid port."""
    try:
        [found, *_] = socket.getaddrinfo(
            address.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except OSError:
        return None
    return str(found[4][0])
