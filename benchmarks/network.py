"""A network between the contenders and the server: a proxy in a process of its own, so that it takes no
time from the one that is measured, except for a core."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from procrastinate_conn.demo.proxy import CountingProxy


class Network:
    """The way to a server through a proxy.

    Parameters
    ----------
    control
        The other end is the proxy's process.

    Attributes
    ----------
    port : int
        Where clients connect to, on 127.0.0.1.
    """

    def __init__(self, control: Connection) -> None:
        self._control = control
        self.port: int = control.recv()

    @property
    def round_trips(self) -> int:
        """The round trips so far, over all connections."""
        self._control.send("how many?")
        count: int = self._control.recv()
        return count


@contextmanager
def network(host: str, port: int, delay: float) -> Iterator[Network]:
    """Put a proxy before a server.

    Parameters
    ----------
    host, port
        The server's address.
    delay
        Seconds to add to each round trip.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, host, port, delay), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Network(ours)
    finally:
        ours.close()
        process.join(10)


def _serve(control: Connection, host: str, port: int, delay: float) -> None:
    with CountingProxy(host, port, delay=delay) as proxy:
        control.send(proxy.port)
        try:
            while control.recv():
                control.send(proxy.round_trips)
        except EOFError:  # nobody asks any more
            pass
