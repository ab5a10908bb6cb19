"""libpq's part of connecting, for drivers without libpq: the addresses in order, password, session."""

from __future__ import annotations

import asyncio
import codecs
import locale
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psycopg

# The first of them is not documented; every test of opening with several hosts notices if it goes.
from psycopg.conninfo import conninfo_attempts_async, timeout_from_conninfo

from procrastinate_conn import libpq
from procrastinate_conn.connection.hosts import Host
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.sources import password_file

C = TypeVar("C")

Attempt = dict[str, Any]
"""libpq's keywords; for one address, `hostaddr` is numeric, or `host` is the directory of a socket."""

_SESSION_SETTINGS = {"PGDATESTYLE": "datestyle", "PGGEQO": "geqo", "PGTZ": "timezone"}
"""libpq's variables for the session, and the settings that it sends for them."""

_SOCKET_OPTIONS = {
    "keepalives_idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),  # the second is that of macOS
    "keepalives_interval": ("TCP_KEEPINTVL",),
    "keepalives_count": ("TCP_KEEPCNT",),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT",),
}


async def open_first(
    parameters: Attempt, open_one: Callable[[Attempt], Awaitable[C]], errors: tuple[type[Exception], ...]
) -> C:
    """Return a connection to the first address that accepts one.

    The hosts are resolved and tried in libpq's order, or at random with `load_balance_hosts`; each address
    has `connect_timeout` seconds. If there is none, the `psycopg.OperationalError` has the reasons.
    """
    timeout = timeout_from_conninfo(parameters)
    failures = []
    for attempt in await conninfo_attempts_async(parameters):
        address = f"{attempt.get('host') or attempt.get('hostaddr')}, port {attempt.get('port')}"
        try:
            async with asyncio.timeout(timeout):
                return await open_one(attempt)
        except TimeoutError:
            failures.append(f"connection to {address} failed: no answer within {timeout} s")
        except errors as error:
            failures.append(f"connection to {address} failed: {describe(error)}")
    raise psycopg.OperationalError("\n".join(failures))


def describe(error: Exception) -> str:
    """Return the message of an error; that of a socket as libpq words it."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno)
    return str(error).strip() or type(error).__name__


def find_password(attempt: Attempt) -> str | None:
    """Return the password of an attempt, or the one that its password file has for the address."""
    if attempt.get("password"):
        return str(attempt["password"])
    if not attempt.get("passfile"):
        return None
    host = Host(attempt.get("host") or "", attempt.get("hostaddr") or "", attempt["port"])
    user = attempt["user"]
    login = (host.passfile_name, host.port, attempt.get("dbname") or user, user)
    return password_file.find_password(Path(attempt["passfile"]), login)


def server_settings(attempt: Attempt, spec: ConnectionSpec) -> dict[str, str]:
    """Return the settings that libpq sends when a session starts, by their names in PostgreSQL."""
    settings = {
        "application_name": attempt.get("application_name", attempt.get("fallback_application_name")),
        "options": attempt.get("options"),
        "client_encoding": _encoding(attempt.get("client_encoding") or ""),
    }
    for variable, value in spec.session.items():
        if value.lower() != "default":  # which libpq does not send
            settings[_SESSION_SETTINGS[variable]] = value
    return {name: value for name, value in settings.items() if value}


def set_socket_options(connected: Any, parameters: Mapping[str, Any]) -> None:
    """Set keepalives and `tcp_user_timeout`, as far as the system knows them; 0 leaves its own default."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    has_keepalives = parameters.get("keepalives") != "0"
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, has_keepalives)
    for keyword, names in _SOCKET_OPTIONS.items():
        value = libpq.integer(parameters.get(keyword) or "") or 0
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if value > 0 and option is not None and (has_keepalives or keyword == "tcp_user_timeout"):
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def _encoding(name: str) -> str:
    """Return the encoding that libpq asks for; ``auto`` is that of the locale."""
    if name != "auto":
        return name
    found = codecs.lookup(locale.getencoding()).name
    return "SQL_ASCII" if found == "ascii" else found
