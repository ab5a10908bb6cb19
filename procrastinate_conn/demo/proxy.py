"""A TCP proxy that counts the round trips between clients and the server."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import Self

_NOT_COUNTED = (b"\x00", b"p", b"X")
"""First bytes of the messages that start a connection (a length), authenticate (p) and terminate (X)."""


class CountingProxy(socketserver.ThreadingTCPServer):
    """Forward bytes between clients and one server, and count how often a client waits for a response.

    The round trips that open and close a connection are not counted. Each one that is counted takes `delay`
    seconds more, as if the server were that far away.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, *, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = (host, port)
        self.delay = delay
        self.round_trips = 0  # so far, over all connections
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that clients connect to."""
        port: int = self.socket.getsockname()[1]
        return port

    def count(self) -> None:
        """Count one round trip, and delay it."""
        with self._lock:
            self.round_trips += 1
        if self.delay:
            time.sleep(self.delay)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Accept no further connections; those that are open end with their clients."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    """A client's connection, and its connection to the server."""

    server: CountingProxy
    request: socket.socket

    def handle(self) -> None:
        """Forward bytes until either side closes or resets its connection."""
        client = self.request
        with (
            suppress(ConnectionError),
            socket.create_connection(self.server.upstream) as upstream,
            selectors.DefaultSelector() as ready,
        ):
            for sender, receiver in ((client, upstream), (upstream, client)):
                sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(sender, selectors.EVENT_READ, (sender, receiver))
            awaits_response = False
            while True:
                for key, _ in ready.select():
                    sender, receiver = key.data
                    message = sender.recv(65536)
                    if not message:
                        return
                    if sender is client and not awaits_response and not message.startswith(_NOT_COUNTED):
                        self.server.count()
                    awaits_response = sender is client
                    receiver.sendall(message)
