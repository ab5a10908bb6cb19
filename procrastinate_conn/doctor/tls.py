"""TLS: version and cipher, whether the certificate was verified, and how long it is valid."""

from __future__ import annotations

import socket
import ssl
import struct
import time
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


def run(context: HostContext) -> Result | None:
    """Inspect TLS in a handshake of our own, since libpq does not show the certificate."""
    spec, connection = context.config.spec, context.connection
    is_off = connection is None and spec.sslmode in ("disable", "allow")
    if not context.is_reachable or context.host.is_socket or is_off:
        return None
    if connection is not None and not connection.pgconn.ssl_in_use:
        if is_loopback(context.address):
            return passed("not used, and the server is on this machine", value={"in_use": False})
        message = f"not used (sslmode={spec.sslmode}): passwords and jobs are sent in plain text"
        hint = "set sslmode=verify-full and sslrootcert; the server needs ssl = on"
        return warned(message, hint, value={"in_use": False})
    try:
        return _inspect(context)
    except (OSError, ValueError) as error:
        if connection is None:
            return None
        return passed(f"in use; the certificate cannot be inspected: {error}")


def _inspect(context: HostContext) -> Result:
    """Shake hands twice: to get the certificate, and to have it decoded.

    `OSError` is raised if the server does not support TLS, or not with this client; `ValueError` if Python
    rejects a host name that libpq accepts.
    """
    spec, has_session = context.config.spec, context.connection is not None
    with _connect(context, _client_context(spec)) as connection:
        certificate = connection.getpeercert(binary_form=True)
        version, cipher = connection.version(), connection.cipher()
    days_left = _days_left(context, certificate or b"")
    # libpq, which has connected, verified the certificate if it has a root.
    root = spec.sslrootcert or libpq.default_file("root.crt")
    is_verified = has_session and (root == "system" or Path(root).exists())
    is_name_verified = is_verified and spec.sslmode == "verify-full"
    value = {
        "in_use": True,
        "version": version or "",
        "cipher": cipher[0] if cipher else "",
        "verified": is_verified,
        "host_name_verified": is_name_verified,
        "days_left": days_left,
    }
    verified = "verified" if is_verified else "not verified"
    if is_verified and not is_name_verified:
        verified += ", except its host name"
    message = f"{value['version']}, {value['cipher']}; certificate {verified}"
    if days_left is None:
        message += ", its expiry not known"
    elif days_left < 0:
        return failed(f"{message}, expired", "renew the server's certificate", value=value)
    else:
        message += f", {days_left} days left"
        if days_left <= RENEWAL_DAYS:
            return warned(message, "renew the server's certificate", value=value)
    if has_session and not is_name_verified and not is_loopback(context.address):
        hint = "set sslmode=verify-full and sslrootcert: without, others can impersonate the server"
        return warned(message, hint, value=value)
    return passed(message, value=value)


def _days_left(context: HostContext, certificate: bytes) -> int | None:
    """Return the days until a certificate expires, -1 if it has; None if that is not known.

    Python decodes only a certificate that it trusts, so this one is trusted.
    """
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
    # `wrap_socket` takes the socket over, so that nothing is left to close then.
    with socket.create_connection(address, context.connect_timeout) as connection:
        if context.config.spec.sslnegotiation != "direct":
            connection.sendall(SSL_REQUEST)
            if connection.recv(1) != b"S":
                raise ConnectionRefusedError("the server does not support TLS")
        return client_context.wrap_socket(connection, server_hostname=context.host.shown)
