"""TLS: version and cipher, whether the certificate was verified, and how long it is valid."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from procrastinate_conn import libpq
from procrastinate_conn.checks.tls import is_loopback
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""SSLRequest of PostgreSQL's frontend/backend protocol: the client's request to start TLS."""

RENEWAL_DAYS = 21
"""Days before a certificate's expiry from which on there is a warning."""

_CERT_HAS_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The result of a handshake."""

    version: str
    cipher: str
    days_left: int | None  # until the certificate expires, -1 if it has; None if that is not known


def run(context: HostContext) -> Iterator[Result]:
    """Inspect TLS in a handshake of our own, since libpq does not show the certificate."""
    spec = context.config.spec
    if not context.is_reachable or context.host.is_socket:
        return
    if context.connection is not None and not context.connection.pgconn.ssl_in_use:
        yield _unencrypted(context)
        return
    if context.connection is None and spec.sslmode in ("disable", "allow"):
        return
    try:
        handshake = _shake_hands(context)
    except (OSError, ValueError) as error:
        if context.connection is not None:
            yield passed("tls", f"in use; the certificate cannot be inspected: {error}")
        return
    yield _result(context, handshake)


def _unencrypted(context: HostContext) -> Result:
    value = {"in_use": False}
    if is_loopback(context.address):
        return passed("tls", "not used, and the server is on this machine", value=value)
    return warned(
        "tls",
        f"not used (sslmode={context.config.spec.sslmode}): passwords and jobs are sent in plain text",
        "set sslmode=verify-full and sslrootcert; the server needs ssl = on",
        value=value,
    )


def _result(context: HostContext, handshake: Handshake) -> Result:
    spec, days_left = context.config.spec, handshake.days_left
    is_verified = context.connection is not None and _is_verified(spec)
    is_name_verified = is_verified and spec.sslmode == "verify-full"
    value = {
        "in_use": True,
        "version": handshake.version,
        "cipher": handshake.cipher,
        "verified": is_verified,
        "host_name_verified": is_name_verified,
        "days_left": days_left,
    }
    verified = "verified" if is_verified else "not verified"
    if is_verified and not is_name_verified:
        verified += ", except its host name"
    message = f"{handshake.version}, {handshake.cipher}; certificate {verified}, {_validity(days_left)}"
    if days_left is not None and days_left < 0:
        return failed("tls", message, "renew the server's certificate", value=value)
    if days_left is not None and days_left <= RENEWAL_DAYS:
        return warned("tls", message, "renew the server's certificate", value=value)
    if context.connection is not None and not is_name_verified and not is_loopback(context.address):
        hint = "set sslmode=verify-full and sslrootcert: without, others can impersonate the server"
        return warned("tls", message, hint, value=value)
    return passed("tls", message, value=value)


def _validity(days_left: int | None) -> str:
    if days_left is None:
        return "its expiry not known"
    return "expired" if days_left < 0 else f"{days_left} days left"


def _is_verified(spec: ConnectionSpec) -> bool:
    """Return whether libpq, which has connected, verified the certificate: it does if it has a root."""
    return spec.sslrootcert == "system" or Path(spec.sslrootcert or libpq.default_file("root.crt")).exists()


def _shake_hands(context: HostContext) -> Handshake:
    """Shake hands twice: to get the certificate, and to have it decoded.

    `OSError` is raised if the server does not support TLS, or not with this client; `ValueError` if Python
    rejects a host name that libpq accepts.
    """
    with _connect(context, _client_context(context.config.spec)) as connection:
        certificate = connection.getpeercert(binary_form=True)
        version, cipher = connection.version(), connection.cipher()
    return Handshake(version or "", cipher[0] if cipher else "", _days_left(context, certificate or b""))


def _days_left(context: HostContext, certificate: bytes) -> int | None:
    """Return the days left. Python decodes only a certificate that it trusts, so this one is trusted."""
    client_context = _client_context(context.config.spec)
    client_context.set_ciphers("DEFAULT:@SECLEVEL=0")  # its strength is not checked here
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        client_context.load_verify_locations(cadata=certificate)
        client_context.verify_mode = ssl.CERT_REQUIRED
        with _connect(context, client_context) as connection:
            decoded = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return -1 if error.verify_code == _CERT_HAS_EXPIRED else None
    except OSError:
        return None
    not_after = decoded.get("notAfter")
    if not isinstance(not_after, str):
        return None
    return int((ssl.cert_time_to_seconds(not_after) - time.time()) // 86400)


def _client_context(spec: ConnectionSpec) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = _version(spec.ssl_min_protocol_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _version(spec.ssl_max_protocol_version, ssl.TLSVersion.MAXIMUM_SUPPORTED)
    context.set_alpn_protocols(["postgresql"])
    return context


def _version(name: str | None, default: ssl.TLSVersion) -> ssl.TLSVersion:
    """Return a version by its name in libpq, like ``TLSv1.2``."""
    return ssl.TLSVersion.__members__.get((name or "").replace(".", "_"), default)


def _connect(context: HostContext, client_context: ssl.SSLContext) -> ssl.SSLSocket:
    address = (context.address, int(context.host.port))
    connection = socket.create_connection(address, context.connect_timeout)
    try:
        if context.config.spec.sslnegotiation != "direct":
            _request_tls(connection)
        return client_context.wrap_socket(connection, server_hostname=context.host_name)
    except BaseException:
        connection.close()
        raise


def _request_tls(connection: socket.socket) -> None:
    connection.sendall(SSL_REQUEST)
    if connection.recv(1) != b"S":
        raise ConnectionRefusedError("the server does not support TLS")
