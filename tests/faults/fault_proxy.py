"""A TCP proxy on which an answer can get lost, as on a network that fails while the server works, or comes
together with something else that the server says."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import Self

END_OF_ANSWER = b"Z\x00\x00\x00\x05I"
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
"""What a server process says that is told to end."""

NOTIFICATION = b"A" + (4 + 4 + 4 + 6).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"two\0hello\0"
"""What it says on NOTIFY two, 'hello'."""

TAKES_LEAVE_FOR = 0.3
"""Seconds from the farewell until it hangs up: a busy machine lets the process wait before it ends."""


class FaultProxy(socketserver.ThreadingTCPServer):
    """Pass bytes between clients and one server; lose the answers to what is asked for with `lose`.

    Parameters
    ----------
    host, port
        The server's address.

    Attributes
    ----------
    lost, delayed, added : int
        How often that has happened.
    hangs_up_at_once : bool
        Whether an answer gets lost while the server still works at it, and not once it is there.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = (host, port)
        self.lost = 0
        self.delayed = 0
        self.added = 0
        self.hangs_up_at_once = False
        self._to_lose: list[bytes] = []
        self._to_delay: list[tuple[bytes, float]] = []
        self._to_add: list[tuple[bytes, bytes]] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that clients connect to."""
        return self.socket.getsockname()[1]

    def lose(self, *texts: bytes) -> None:
        """Lose the answers to the next queries that contain these texts: one for each of them."""
        with self._lock:
            self._to_lose += texts

    def is_to_be_lost(self, query: bytes) -> bool:
        """Tell whether the answer to a query is to be lost, and count it."""
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
        """Say something right behind the answers to the next messages that contain these texts.

        The session ends with a farewell.
        """
        with self._lock:
            self._to_add += [(text, message) for text in texts]

    def to_add(self, query: bytes) -> bytes:
        """Return what is to be said behind the answer to a query, and count it."""
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

    def handle(self) -> None:
        """Pass bytes on until either side closes, or until an answer is lost and the connection with it."""
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
                    if sender is client and self.server.is_to_be_lost(message):
                        if self.server.hangs_up_at_once:
                            client.shutdown(socket.SHUT_RDWR)
                        _answer(upstream)
                        return
                    if sender is client and (seconds := self.server.delay_of(message)):
                        result = _answer(upstream)
                        time.sleep(seconds)
                        client.sendall(result)
                    if sender is client and (addition := self.server.to_add(message)):
                        client.sendall(_answer(upstream) + addition)
                        if addition == SHUTDOWN:
                            time.sleep(TAKES_LEAVE_FOR)
                            return


def _answer(upstream: socket.socket) -> bytes:
    answer = b""
    while END_OF_ANSWER not in answer:
        answer += upstream.recv(65536)
    return answer
