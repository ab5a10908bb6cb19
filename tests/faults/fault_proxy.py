"""A TCP proxy that can lose or delay a result, as a failing network does, or add a message to it."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import Self

END_OF_RESULT = b"Z\x00\x00\x00\x05I"
"""PostgreSQL's message ReadyForQuery: the transaction is over, and committed."""

_FIELDS = {
    "S": "FATAL",
    "V": "FATAL",
    "C": "57P01",
    "M": "terminating connection due to administrator command",
    "F": "postgres.c",
    "L": "3300",
    "R": "ProcessInterrupts",
}
_BODY = b"".join(f"{field}{text}\0".encode() for field, text in _FIELDS.items()) + b"\0"
SHUTDOWN = b"E" + (4 + len(_BODY)).to_bytes(4, "big") + _BODY
"""The notice of a server process that is terminated."""

SYNC = b"S\x00\x00\x00\x04"
"""The message that ends a query; a driver may prepare a statement without it, and execute it later."""

NOTIFICATION = b"A" + (4 + 4 + 4 + 6).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"two\0hello\0"
"""The message of NOTIFY two, 'hello'."""

SHUTDOWN_DELAY = 0.3
"""Seconds from that notice until the connection is closed, as on a busy machine."""


class FaultProxy(socketserver.ThreadingTCPServer):
    """Pass bytes between clients and one server; lose the results of the queries given to `lose`.

    Parameters
    ----------
    host, port
        The server's address.

    Attributes
    ----------
    lost, delayed, added : int
        How often that has happened.
    closes_at_once : bool
        Whether a result is lost while the server still executes the query, and not once it is there.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = (host, port)
        self.lost = 0
        self.delayed = 0
        self.added = 0
        self.closes_at_once = False
        self._to_lose: list[bytes] = []
        self._to_delay: list[tuple[bytes, float]] = []
        self._to_add: list[tuple[bytes, bytes]] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that clients connect to."""
        return self.socket.getsockname()[1]

    def lose(self, *texts: bytes) -> None:
        """Lose the results of the next queries that contain these texts: one for each of them."""
        with self._lock:
            self._to_lose += texts

    def is_to_be_lost(self, query: bytes) -> bool:
        """Tell whether the result of a query is to be lost, and count it."""
        with self._lock:
            for text in self._to_lose:
                if text in query:
                    self._to_lose.remove(text)
                    self.lost += 1
                    return True
        return False

    def delay(self, seconds: float, *texts: bytes) -> None:
        """Delay the results of the next queries that contain these texts."""
        with self._lock:
            self._to_delay += [(text, seconds) for text in texts]

    def delay_of(self, query: bytes) -> float:
        """Return the seconds that the result of a query is to be delayed, and count it."""
        with self._lock:
            for text, seconds in self._to_delay:
                if text in query:
                    self._to_delay.remove((text, seconds))
                    self.delayed += 1
                    return seconds
        return 0.0

    def add(self, message: bytes, *texts: bytes) -> None:
        """Send a message right after the results of the next messages that contain these texts.

        The session ends after `SHUTDOWN`.
        """
        with self._lock:
            self._to_add += [(text, message) for text in texts]

    def to_add(self, query: bytes) -> bytes:
        """Return the message to be sent after the result of a query, and count it."""
        with self._lock:
            for text, message in self._to_add:
                if text in query:
                    self._to_add.remove((text, message))
                    self.added += 1
                    return message
        return b""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    server: FaultProxy
    request: socket.socket

    def setup(self) -> None:
        """Begin without prepared statements."""
        self.prepared: dict[bytes, bytes] = {}

    def query_in(self, message: bytes) -> bytes:
        """Return the text of a client's message, with that of the prepared statement which it executes."""
        if message.startswith(b"P") and not message.endswith(SYNC):
            self.prepared[message[5 : message.index(b"\0", 5)]] = message
            return b""
        return message + b"".join(text for name, text in self.prepared.items() if name in message)

    def handle(self) -> None:
        """Pass bytes on until either side closes, or until a result is lost and the connection with it."""
        client = self.request
        with (
            suppress(ConnectionError),
            socket.create_connection(self.server.upstream) as upstream,
            selectors.DefaultSelector() as ready,
        ):
            for sender, receiver in ((client, upstream), (upstream, client)):
                sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(sender, selectors.EVENT_READ, (sender, receiver))
            while True:
                for key, _ in ready.select():
                    sender, receiver = key.data
                    message = sender.recv(65536)
                    if not message:
                        return
                    receiver.sendall(message)
                    query = self.query_in(message) if sender is client else b""
                    if sender is client and self.server.is_to_be_lost(query):
                        if self.server.closes_at_once:
                            client.shutdown(socket.SHUT_RDWR)
                        _result(upstream)
                        return
                    if sender is client and (seconds := self.server.delay_of(query)):
                        result = _result(upstream)
                        time.sleep(seconds)
                        client.sendall(result)
                    if sender is client and (addition := self.server.to_add(query)):
                        client.sendall(_result(upstream) + addition)
                        if addition == SHUTDOWN:
                            time.sleep(SHUTDOWN_DELAY)
                            return


def _result(upstream: socket.socket) -> bytes:
    result = b""
    while END_OF_RESULT not in result:
        result += upstream.recv(65536)
    return result
