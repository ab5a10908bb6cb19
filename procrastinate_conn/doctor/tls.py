"""TLS: version and cipher, whether the certificate was verified, and how long it is valid."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from procrastinate_conn.checks.tls import default_root_certificate, is_loopback
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, passed, warned

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""What a client asks a PostgreSQL server before TLS begins."""

DAYS_TO_RENEW = 21
"""A certificate that ends sooner is worth a warning."""

_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""

_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server shows in a handshake.

    Parameters
    ----------
    version, cipher
        What was agreed on.
    days
        Days until the certificate expires, -1 where it has; None where that cannot be told.
    """

    version: str
    cipher: str
    days: int | None


def examine(patient: Patient) -> Iterator[Result]:
    """Look at the TLS that libpq uses, in a handshake of its own: libpq does not show the certificate."""
    spec = patient.config.spec
    if not patient.is_reached or not patient.answers or patient.host.is_socket:
        return
    if patient.connection is not None and not patient.connection.pgconn.ssl_in_use:
        yield _unencrypted(patient)
        return
    if patient.connection is None and spec.sslmode in ("disable", "allow"):
        return
    try:
        seen = _look(patient)
    except (OSError, ValueError) as error:
        if patient.connection is not None:
            yield passed("tls", f"in use; the certificate cannot be looked at: {error}")
        return
    yield _judge(patient, seen)


def _unencrypted(patient: Patient) -> Result:
    value = {"in_use": False}
    if is_loopback(patient.address):
        return passed("tls", "not used, and the server is on this machine", value=value)
    return warned(
        "tls",
        f"not used (sslmode={patient.config.spec.sslmode}): passwords and jobs travel in clear",
        "state sslmode=verify-full and sslrootcert; the server needs ssl = on",
        value=value,
    )


def _judge(patient: Patient, seen: Seen) -> Result:
    spec = patient.config.spec
    verified = patient.connection is not None and _is_verified(spec)
    named = verified and spec.sslmode == "verify-full"
    value = {
        "in_use": True,
        "version": seen.version,
        "cipher": seen.cipher,
        "verified": verified,
        "host_name_verified": named,
        "days_left": seen.days,
    }
    certificate = "verified" if named else "verified, its host name not" if verified else "not verified"
    message = f"{seen.version}, {seen.cipher}; certificate {certificate}, {_validity(seen.days)}"
    if seen.days is not None and seen.days < 0:
        return failed("tls", message, "renew the server's certificate", value=value)
    if seen.days is not None and seen.days <= DAYS_TO_RENEW:
        return warned("tls", message, "renew the server's certificate", value=value)
    if patient.connection is not None and not named and not is_loopback(patient.address):
        hint = "state sslmode=verify-full, and in sslrootcert the authority, or anybody could answer"
        return warned("tls", message, hint, value=value)
    return passed("tls", message, value=value)


def _validity(days: int | None) -> str:
    if days is None:
        return "its end not known"
    return "expired" if days < 0 else f"{days} days left"


def _is_verified(spec: ConnectionSpec) -> bool:
    """Tell whether libpq, which has connected, verified the certificate: it does where it has a root."""
    return spec.sslrootcert == "system" or Path(spec.sslrootcert or default_root_certificate()).exists()


def _look(patient: Patient) -> Seen:
    """Shake hands twice: to get the certificate, and to have it decoded.

    Raises
    ------
    OSError
        The server does not do TLS, or not with us.
    ValueError
        Python does not take what libpq takes for a host's name.
    """
    with _handshake(patient, _context(patient.config.spec)) as connection:
        certificate = connection.getpeercert(binary_form=True)
        version, cipher = connection.version(), connection.cipher()
    return Seen(version or "", cipher[0] if cipher else "", _days(patient, certificate or b""))


def _days(patient: Patient, certificate: bytes) -> int | None:
    """Return the days left. Python decodes only a certificate that it trusts, so it is told to trust it."""
    context = _context(patient.config.spec)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # its strength is not what is asked
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        with _handshake(patient, context) as connection:
            decoded = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return -1 if error.verify_code == _EXPIRED else None
    except OSError:
        return None
    end = decoded.get("notAfter")
    if not isinstance(end, str):
        return None
    return int((ssl.cert_time_to_seconds(end) - time.time()) // 86400)


def _context(spec: ConnectionSpec) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = _VERSIONS.get(spec.ssl_min_protocol_version or "", ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS.get(
        spec.ssl_max_protocol_version or "", ssl.TLSVersion.MAXIMUM_SUPPORTED
    )
    context.set_alpn_protocols(["postgresql"])
    return context


def _handshake(patient: Patient, context: ssl.SSLContext) -> ssl.SSLSocket:
    connection = socket.create_connection((patient.address, int(patient.host.port)), patient.patience)
    try:
        if patient.config.spec.sslnegotiation != "direct":
            _request(connection)
        return context.wrap_socket(connection, server_hostname=patient.host_name)
    except BaseException:
        connection.close()
        raise


def _request(connection: socket.socket) -> None:
    """Ask the server to begin with TLS."""
    connection.sendall(SSL_REQUEST)
    if connection.recv(1) != b"S":
        raise ConnectionRefusedError("the server does not do TLS")
