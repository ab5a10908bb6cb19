"""libpq's keywords for TLS in Python's terms; see ``initialize_SSL`` in ``fe-secure-openssl.c``."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from procrastinate_conn import libpq


def encryption_methods(parameters: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return whether to use TLS in each attempt at one address, in libpq's order; a socket has none."""
    if not parameters.get("hostaddr"):
        return (False,)
    orders = {"disable": (False,), "allow": (False, True), "prefer": (True, False)}
    return orders.get(parameters.get("sslmode") or "prefer", (True,))


def tls_context(parameters: Mapping[str, Any]) -> ssl.SSLContext:
    """Return the context for one address; the files are read now, as libpq reads them at every connection.

    `psycopg.OperationalError` is raised if libpq would not connect, `OSError` if a file cannot be used.
    """
    mode = parameters.get("sslmode") or "prefer"
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    if parameters.get("sslsni") != "0" or context.check_hostname:
        context.server_name = parameters.get("host") or None
    if context.check_hostname and context.server_name is None:
        raise psycopg.OperationalError("host name must be specified for a verified SSL connection")
    if not _load_roots(context, parameters):
        if mode.startswith("verify"):
            missing = _file(parameters, "sslrootcert", "root.crt")
            raise psycopg.OperationalError(f"root certificate file {missing} does not exist")
        context.verify_mode = ssl.CERT_NONE
    _load_client_certificate(context, parameters)
    context.minimum_version = _version(parameters.get("ssl_min_protocol_version") or "TLSv1.2")
    if newest := parameters.get("ssl_max_protocol_version"):
        context.maximum_version = _version(newest)
    context.set_alpn_protocols(["postgresql"])
    if log := parameters.get("sslkeylogfile"):
        context.keylog_filename = log
    return context


class _Context(ssl.SSLContext):
    """A context for the host of the settings, whose address asyncpg passes instead of its name."""

    server_name: str | None = None

    def wrap_bio(self, incoming: Any, outgoing: Any, *_: Any, **__: Any) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_hostname=self.server_name)


def _load_roots(context: ssl.SSLContext, parameters: Mapping[str, Any]) -> bool:
    """Load the trusted certificates and the revocations; tell whether there is any trusted certificate."""
    if parameters.get("sslrootcert") == "system":
        context.set_default_verify_paths()
        return True
    roots = _file(parameters, "sslrootcert", "root.crt")
    if not roots.exists():
        return False
    context.load_verify_locations(roots)
    directory = parameters.get("sslcrldir") or None
    file = _file(parameters, "sslcrl", "root.crl")
    has_file = file.exists() and bool(parameters.get("sslcrl") or not directory)
    if has_file or directory:
        context.load_verify_locations(file if has_file else None, directory)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return True


def _load_client_certificate(context: ssl.SSLContext, parameters: Mapping[str, Any]) -> None:
    """Load the client's certificate if there is one: libpq sends it if the server asks."""
    certificate = _file(parameters, "sslcert", "postgresql.crt")
    if parameters.get("sslcertmode") == "disable" or not certificate.exists():
        return
    key = _file(parameters, "sslkey", "postgresql.key")
    if not key.exists():
        raise psycopg.OperationalError(f"certificate present, but not private key file {key}")
    allowed = 0o640 if (status := key.stat()).st_uid == 0 else 0o600
    if os.name == "posix" and status.st_mode & 0o077 & ~allowed:
        raise psycopg.OperationalError(f"private key file {key} has group or world access")
    context.load_cert_chain(certificate, key, lambda: parameters.get("sslpassword") or "")


def _file(parameters: Mapping[str, Any], keyword: str, default: str) -> Path:
    return Path(parameters.get(keyword) or libpq.default_file(default))


def _version(name: str) -> ssl.TLSVersion:
    """Return a version from libpq's name for it, such as ``TLSv1.2``, which it takes in any case."""
    return ssl.TLSVersion[name.upper().replace("V", "v").replace(".", "_")]
