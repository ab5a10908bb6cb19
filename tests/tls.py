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


class TlsProxy(socketserver.ThreadingTCPServer):
    """Takes TLS connections and passes them on in clear; with TLS 1.3, and so with session tickets.

    Parameters
    ----------
    host, port
        The server's address.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.upstream = (host, port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(self.context)

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
