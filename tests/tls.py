"""A TLS server in front of a PostgreSQL server that was built without it."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from typing import Self

import trustme

SSL_REQUEST = 8
"""The length of the message in which a client asks for TLS."""
TLS_HANDSHAKE = b"\x16"
"""The first byte of a client that begins TLS without asking."""
TLS_CODE = (80877103).to_bytes(4, "big")
"""The content of the message."""


class TlsProxy(socketserver.ThreadingTCPServer):
    """Accepts TLS connections and forwards them in plain text; with TLS 1.3, and so with session tickets.

    Parameters
    ----------
    host, port
        The server's address.
    rejects_tls
        Whether it rejects clients with TLS and accepts the others, like a line ``hostnossl`` of pg_hba.conf.
    accepts_plaintext
        Whether it accepts clients without TLS as well.
    """

    daemon_threads = True

    def __init__(
        self, host: str, port: int, *, rejects_tls: bool = False, accepts_plaintext: bool = False
    ) -> None:
        super().__init__(("127.0.0.1", 0), RejectedTlsConnection if rejects_tls else TlsConnection)
        self.upstream = (host, port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["postgresql"])
        self.accepts_plaintext = accepts_plaintext
        self.authority = trustme.CA()
        self.authority.issue_cert("127.0.0.1").configure_cert(self.context)

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class TlsConnection(socketserver.BaseRequestHandler):
    """A client."""

    def handle(self) -> None:
        if self.server.accepts_plaintext and self.request.recv(SSL_REQUEST, socket.MSG_PEEK)[4:] != TLS_CODE:
            forward_plaintext(self)
            return
        if self.request.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE:
            self.request.recv(SSL_REQUEST)
            self.request.sendall(b"S")
        with (
            self.server.context.wrap_socket(self.request, server_side=True) as client,
            socket.create_connection(self.server.upstream) as server,
        ):
            responses = threading.Thread(target=forward, args=(server, client), daemon=True)
            responses.start()
            forward(client, server)
            responses.join()


class RejectedTlsConnection(socketserver.BaseRequestHandler):
    """A client that is rejected if it requests TLS."""

    def handle(self) -> None:
        if self.request.recv(SSL_REQUEST, socket.MSG_PEEK)[4:] != TLS_CODE:
            forward_plaintext(self)
            return
        self.request.recv(SSL_REQUEST)
        self.request.sendall(b"S")
        with self.server.context.wrap_socket(self.request, server_side=True) as client:
            client.recv(65536)
            error = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry\0\0"
            client.sendall(b"E" + (4 + len(error)).to_bytes(4, "big") + error)


def forward_plaintext(client: socketserver.BaseRequestHandler) -> None:
    """Forward a connection without TLS."""
    with socket.create_connection(client.server.upstream) as server:
        threading.Thread(target=forward, args=(server, client.request), daemon=True).start()
        forward(client.request, server)


def forward(source: socket.socket, target: socket.socket) -> None:
    """Forward bytes until either side closes; then close the other."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
