"""A TCP proxy that counts the round trips between clients and the server."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

NOT_A_QUERY = (b"\x00", b"p", b"X")
"""How messages begin that start a connection (their length), prove who one is, and say goodbye."""


class CountingProxy(socketserver.ThreadingTCPServer):
    """Pass bytes between clients and one server, and count how often a client waits for an answer.

    What it takes to open and to close a connection is not counted.

    Parameters
    ----------
    host, port
        The server's address.
    delay
        Seconds to add to each round trip that is counted, as if the server were that far away.

    Attributes
    ----------
    round_trips : int
        The round trips so far, over all connections.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, *, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = (host, port)
        self.delay = delay
        self.round_trips = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that clients connect to."""
        port: int = self.socket.getsockname()[1]
        return port

    def count(self) -> None:
        """Count one round trip, and let it take its time."""
        with self._lock:
            self.round_trips += 1
        if self.delay:
            time.sleep(self.delay)

    def __enter__(self) -> Self:
        """Start to accept connections."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Accept no further connections; those that are open end with their clients."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    """One client's connection, and the one to the server that goes with it."""

    server: CountingProxy
    request: socket.socket

    def handle(self) -> None:
        """Pass bytes on until either side closes, be it with a reset."""
        with suppress(ConnectionError):
            self._pass_on()

    def _pass_on(self) -> None:
        client = self.request
        with socket.create_connection(self.server.upstream) as upstream, selectors.DefaultSelector() as ready:
            for sender, receiver in ((client, upstream), (upstream, client)):
                sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(sender, selectors.EVENT_READ, (sender, receiver))
            asked = False
            while True:
                for key, _ in ready.select():
                    sender, receiver = key.data
                    message = sender.recv(65536)
                    if not message:
                        return
                    if sender is client and not asked and not message.startswith(NOT_A_QUERY):
                        self.server.count()
                    asked = sender is client
                    receiver.sendall(message)
