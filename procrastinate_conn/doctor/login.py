"""Whether the server lets us in, and if not, why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import monotonic

import psycopg

from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, milliseconds, passed
from procrastinate_conn.passwords import PasswordSource, PasswordUnavailable
from procrastinate_conn.redaction import is_safe_path

_HINTS = (
    (r"password authentication failed|no such user|SASL authentication failed", "{password}"),
    (r"no password supplied|empty password", "{password}"),
    (
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "add a line for this user, database and address to the server's pg_hba.conf, and reload it",
    ),
    (
        r'database ".*" does not exist|no such database',
        "create the database, or correct dbname, which is by default the user's name",
    ),
    (r'role ".*" does not exist', "create the role, or correct user"),
    (r"is not permitted to log in", "ALTER ROLE ... LOGIN"),
    (r"(Peer|Ident) authentication failed", "connect as the operating system's user, or over TCP"),
    (
        r"too many clients|remaining connection slots|too many connections|no more connections",
        "end sessions that are not needed, make the pools smaller, or raise the limit; see max_connections",
    ),
    (r"is not accepting connections", "it is a standby with hot_standby = off: connect to the primary"),
    (r"is starting up|in recovery mode|not yet accepting", "wait until the server has started"),
    (r"is shutting down", "the server is being stopped or restarted: wait until it is back"),
    (
        r"does not support SSL",
        "turn TLS on at the server (ssl = on), or lower sslmode where the network is trusted",
    ),
    (
        r"certificate verify failed",
        "the server's certificate has expired, or sslrootcert does not name the one of its authority",
    ),
    (
        r"server certificate for .* does not match",
        "connect by the name that is in the certificate, or have the certificate made for this name",
    ),
    (r"root certificate file .* does not exist", "let sslrootcert name a file that is there, or `system`"),
    (
        r"unsupported startup parameter",
        "let the pooler ignore it: ignore_startup_parameters = extra_float_digits,options; or leave it out",
    ),
    (
        r"timeout expired|timed out",
        "something accepts connections there and says nothing: is it PostgreSQL, and is it overloaded?",
    ),
    (r"authentication method", "let require_auth allow what pg_hba.conf asks for"),
    (r"closed the connection unexpectedly", "see the server's log; is it PostgreSQL that listens there?"),
    (r"received invalid response", "another service listens there: check host and port"),
)
"""What servers, poolers and libpq say in English, and what to do about it."""


def examine(patient: Patient) -> Iterator[Result]:
    """Log in, as the application would."""
    if not patient.is_reached:
        return
    begun = monotonic()
    try:
        patient.connection = patient.connect()
    except PasswordUnavailable as error:
        yield failed("login", str(error), "mend the source of the password")
    except psycopg.OperationalError as error:
        patient.answers = not isinstance(error, psycopg.errors.ConnectionTimeout)
        yield refused("login", error, patient)
    else:
        seconds = milliseconds(monotonic() - begun)
        yield passed("login", f"logged in ({seconds} ms)", value={"milliseconds": seconds})


def refused(name: str, error: psycopg.OperationalError, patient: Patient) -> Result:
    """Report why there is no session, with what to do about it.

    Parameters
    ----------
    name
        What was examined.
    error
        What libpq says.
    patient
        The host.
    """
    reason = cause(error)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, reason, re.IGNORECASE)), None)
    return failed(
        name,
        reason,
        (hint or "see the server's log").replace("{password}", _password_hint(patient)),
    )


def cause(error: psycopg.Error) -> str:
    """Return what the server says, or else what libpq says last, without the attempts around it."""
    text = str(error).strip()
    said = re.findall(r"(?:FATAL|ERROR|PANIC): +(.+)", text)
    last = text.splitlines()[-1].rpartition(" failed: ")[2] if text else type(error).__name__
    return "; ".join(dict.fromkeys(said)) or last.strip()


def _password_hint(patient: Patient) -> str:
    """Say where the password comes from, which libpq may have read from a file."""
    config = patient.config
    if config.password is not None:
        named = config.password.setting if isinstance(config.password, PasswordSource) else "a function"
        return f"the password comes from {named}: is it up to date?"
    mend = "correct it there, or the role's in the server"
    if origin := config.spec.origins.get("password"):
        return f"the password comes from {origin}: {mend}"
    if (passfile := config.spec.passfile) is None:
        return "no password is set: state one"
    named = passfile if is_safe_path(passfile) else "the password file"
    if line := password_line(config.spec, patient.host):
        return f"the password comes from line {line.line} of {named}: {mend}"
    return f"no password is set: state one, or a line for this connection in {named}"
