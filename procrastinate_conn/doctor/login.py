"""Whether the server accepts the login, and if not, why."""

from __future__ import annotations

import re
from time import monotonic

import psycopg

from procrastinate_conn.checks.tls_files import WITHOUT_DEFAULTS
from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, milliseconds, passed
from procrastinate_conn.passwords import PasswordSource, PasswordUnavailable
from procrastinate_conn.redaction import is_safe_path

_PASSWORD = "{password}"  # noqa: S105 - stands for the hint about the password's origin
_PASSWORD_VARIABLE = ("PROCRASTINATE_CONN_CONNECTION__PASSWORD", "PROCRASTINATE_CONN_LISTEN__PASSWORD")
_HINTS = {
    r"(password|SASL) authentication failed|no such user|no password supplied|empty password": _PASSWORD,
    r"no pg_hba\.conf entry|pg_hba\.conf rejects": "add a line for this user, database and address to the"
    " server's pg_hba.conf, and reload it",
    r'database ".*" does not exist|no such database': "create the database, or correct dbname, which is by"
    " default the user's name",
    r'role ".*" does not exist': "create the role, or correct user",
    r"is not permitted to log in": "ALTER ROLE ... LOGIN",
    r"(Peer|Ident) authentication failed": "connect as the operating system's user, or over TCP",
    r"too many clients|remaining connection slots|too many connections|no more connections": "end sessions"
    " that are not needed, reduce the pools, or raise the limit; see max_connections",
    r"is not accepting connections": "it is a standby with hot_standby = off: connect to the primary",
    r"is starting up|in recovery mode|not yet accepting": "wait until the server has started",
    r"is shutting down": "the server is being stopped or restarted: wait until it is back",
    r"does not support SSL": "turn TLS on at the server (ssl = on), or lower sslmode if the network is"
    " trusted",
    r"certificate verify failed": "the server's certificate has expired, or sslrootcert does not name the one"
    " of its authority",
    r"server certificate for .* does not match": "connect by the name that is in the certificate, or have the"
    " certificate issued for this name",
    r"root certificate file .* does not exist": "set sslrootcert to an existing file, or to `system`",
    r"unsupported startup parameter": "let the pooler ignore it:"
    " ignore_startup_parameters = extra_float_digits,options; or leave it out",
    r"timeout expired|timed out": "the port accepts connections and does not respond: is it PostgreSQL, and"
    " is it overloaded?",
    r"could not (open|read|stat) .*certificate|could not (load|stat|open) private key|revocation list": "it"
    f" is a file on this side that libpq cannot use; for one in the home directory {WITHOUT_DEFAULTS}",
    r"authentication method": "let require_auth allow what pg_hba.conf requires",
    r"closed the connection unexpectedly": "see the server's log; is it PostgreSQL that listens there?",
    r"received invalid response": "another service listens there: check host and port",
}
"""English messages of servers, poolers and libpq, and what to do."""


def run(context: HostContext) -> Result | None:
    """Log in, as the application would."""
    if not context.is_reachable:
        return None
    started = monotonic()
    try:
        context.connection = context.connect()
    except psycopg.errors.ConnectionTimeout:
        context.is_reachable = False
        raise
    duration = milliseconds(monotonic() - started)
    return passed(f"logged in ({duration} ms)", value={"milliseconds": duration})


def failure(error: psycopg.Error | PasswordUnavailable, context: HostContext) -> Result:
    """Return the result of a check for which there was no session, or no result, with what to do about it."""
    if isinstance(error, PasswordUnavailable):
        return failed(str(error), "fix the source of the password")
    message, hint = _error_message(error), "see the server's log"
    if isinstance(error, psycopg.OperationalError):
        hint = next((h for p, h in _HINTS.items() if re.search(p, message, re.IGNORECASE)), hint)
    return failed(message, _password_hint(context) if hint == _PASSWORD else hint)


def _error_message(error: psycopg.Error) -> str:
    """Return the server's message, or else libpq's last one, without the attempts before it."""
    text = str(error).strip()
    from_server = re.findall(r"(?:FATAL|ERROR|PANIC): +(.+)", text)
    last = text.splitlines()[-1].rpartition(" failed: ")[2] if text else type(error).__name__
    return "; ".join(dict.fromkeys(from_server)) or last.strip()


def _password_hint(context: HostContext) -> str:
    """Return where the password comes from; libpq may have read it from a file."""
    config = context.config
    if config.password is not None:
        source = config.password.setting if isinstance(config.password, PasswordSource) else "a function"
        return f"the password comes from {source}: is it up to date?"
    correct = "correct it there, or the role's in the server"
    if origin := config.spec.origins.get("password"):
        return f"the password comes from {origin}: {correct}"
    missing = f"no password is set: set {_PASSWORD_VARIABLE[context.main is not None]}"
    if (passfile := config.spec.passfile) is None:
        return missing
    file = passfile if is_safe_path(passfile) else "the password file"
    if line := password_line(config.spec, context.host):
        return f"the password comes from line {line.line} of {file}: {correct}"
    return f"{missing}, or add a line for this connection to {file}"
