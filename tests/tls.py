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
TLS_CODE = (80877103).to_bytes(4, "big")
"""What the message says."""


class TlsProxy(socketserver.ThreadingTCPServer):
    """Takes TLS connections and passes them on in clear; with TLS 1.3, and so with session tickets.

    Parameters
    ----------
    host, port
        The server's address.
    turned_away
        Whether it refuses clients with TLS and takes the others, as a line ``hostnossl`` of pg_hba.conf does.
    clear_too
        Whether it takes clients without TLS as well.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, *, turned_away: bool = False, clear_too: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), TurnedAway if turned_away else Connection)
        self.upstream = (host, port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.clear_too = clear_too
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


class Connection(socketserver.BaseRequestHandler):
    """One client."""

    def handle(self) -> None:
        if self.server.clear_too and self.request.recv(SSL_REQUEST, socket.MSG_PEEK)[4:] != TLS_CODE:
            pass_on_in_clear(self)
            return
        self.request.recv(SSL_REQUEST)
        self.request.sendall(b"S")
        with (
            self.server.context.wrap_socket(self.request, server_side=True) as client,
            socket.create_connection(self.server.upstream) as server,
        ):
            answers = threading.Thread(target=pump, args=(server, client), daemon=True)
            answers.start()
            pump(client, server)
            answers.join()


class TurnedAway(socketserver.BaseRequestHandler):
    """One client, who may come in without TLS."""

    def handle(self) -> None:
        if self.request.recv(SSL_REQUEST, socket.MSG_PEEK)[4:] != TLS_CODE:
            pass_on_in_clear(self)
            return
        self.request.recv(SSL_REQUEST)
        self.request.sendall(b"S")
        with self.server.context.wrap_socket(self.request, server_side=True) as client:
            client.recv(65536)
            refusal = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry\0\0"
            client.sendall(b"E" + (4 + len(refusal)).to_bytes(4, "big") + refusal)


def pass_on_in_clear(client: socketserver.BaseRequestHandler) -> None:
    """Let a client speak with the server as it came."""
    with socket.create_connection(client.server.upstream) as server:
        threading.Thread(target=pump, args=(server, client.request), daemon=True).start()
        pump(client.request, server)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on bytes until either side closes; then close the other."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
