"""A network between the contenders and the server: a proxy in another process, so that it takes a core but no
time of the measured process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from procrastinate_conn.demo.proxy import CountingProxy


class Network:
    """A proxy in another process, which accepts clients on `port` of 127.0.0.1.

    Parameters
    ----------
    control
        A connection to the proxy's process.
    """

    def __init__(self, control: Connection) -> None:
        self._control = control
        self.port: int = control.recv()

    @property
    def round_trips(self) -> int:
        """The round trips of all connections so far."""
        self._control.send("round trips")
        count: int = self._control.recv()
        return count


@contextmanager
def network(host: str, port: int, delay: float) -> Iterator[Network]:
    """Start a proxy to a server, which adds `delay` seconds to each round trip."""
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
        except EOFError:  # the other process has closed its end
            pass
