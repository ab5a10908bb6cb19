"""libpq itself, given the same inputs: the parameters that it resolves, or that it rejects them.

libpq merges the process environment, the service file and the password file by itself. What only
procrastinate-conn reads is given to it by the plainest means: variables of an env file are put into the
environment unless they are set there, and single keywords are appended to the connection string.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unittest import mock

from psycopg import Error, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from procrastinate_conn.configuration import Configuration, configure
from procrastinate_conn.sources import read_sources

BROADCAST = "255.255.255.255"
"""An address that every kernel rejects, at once and without a packet."""

UNCOMPARED = ("service", "servicefile")
"""Keywords that libpq uses up: some versions show them among the others, some do not."""

NOT_A_REFUSAL = re.compile(
    r"(?s:connection to server (?:on socket \".*?\"|at \".*?\"(?: \(.*?\))?, port [^:]*?) failed: )?"
    r"(?:No such file or directory|Not a directory|Connection refused|Network is unreachable"
    r"|Permission denied|Invalid argument|File name too long"
    r"|GSSAPI encryption required but (?:no credential cache|was impossible [^\n]*))\n"
    r"(?:\tIs the server running [^\n]*\n)?"
)
"""The messages of libpq once it has accepted everything, and finds no server, or no Kerberos ticket yet."""


@dataclass(frozen=True)
class Inputs:
    """Everything that describes one connection."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """libpq's variables in the process environment."""
    dotenv: Mapping[str, str] = field(default_factory=dict)
    """libpq's variables in an env file."""
    dsn: str | None = None
    dsn_in: str = "call"
    """The source of the DSN: ``call``, ``environment``, ``dotenv`` or ``DATABASE_URL``."""
    keywords: Mapping[str, str] = field(default_factory=dict)
    keywords_in: str = "call"
    """The source of the single keywords: ``call``, ``environment`` or ``dotenv``."""
    service_file: bytes | None = None
    """``~/.pg_service.conf``."""
    password_file: bytes | None = None
    """``~/.pgpass``, which its owner alone can read."""


@dataclass(frozen=True)
class Verdict:
    """How libpq resolves inputs: every keyword with a value, and the password; or that it rejects them."""

    info: Mapping[str, str] | None
    password: str | None = None
    message: str = field(default="", compare=False)


def ask_libpq(inputs: Inputs, home: Path) -> Verdict:
    """Ask libpq what it makes of inputs."""
    write_files(inputs, home)
    try:
        with environment({"HOME": str(home), **inputs.dotenv, **inputs.environment}):
            return judged(combined(inputs))
    except (Error, UnicodeDecodeError) as error:  # what is not UTF-8, psycopg cannot pass on to libpq
        return Verdict(None, message=str(error))


def ask_spec(inputs: Inputs, home: Path) -> Configuration:
    """Let procrastinate-conn read the same inputs from where people write them."""
    write_files(inputs, home)
    variables = {"HOME": str(home), **inputs.environment}
    env_file = dict(inputs.dotenv)
    call: dict[str, object] = {"defaults": "libpq"}
    if inputs.dsn is not None:
        name = "DATABASE_URL" if inputs.dsn_in == "DATABASE_URL" else "PROCRASTINATE_CONN_DSN"
        match inputs.dsn_in:
            case "call":
                call["dsn"] = inputs.dsn
            case "dotenv":
                env_file[name] = inputs.dsn
            case _:
                variables[name] = inputs.dsn
    single = {f"PROCRASTINATE_CONN_CONNECTION__{k.upper()}": v for k, v in inputs.keywords.items()}
    match inputs.keywords_in:
        case "call":
            call["connection"] = inputs.keywords
        case "dotenv":
            env_file |= single
        case _:
            variables |= single
    dotenv = home / "project.env"
    dotenv.write_text("".join(f"{name}={quoted(value)}\n" for name, value in env_file.items()), newline="")
    with environment(variables):
        return configure(read_sources(call, dotenv, None))


def judged(conninfo: str) -> Verdict:
    """Start to connect, without reaching anything, in the environment of the moment."""
    rejected = make_conninfo(conninfo, target_session_attrs="-")  # so that it never connects
    parameters = info_of(pq.PGconn.connect_start(rejected.encode()))
    addresses = {k: parameters.get(k, "") for k in ("host", "hostaddr")}
    harmless = {k: ",".join(map(HARMLESS[k], v.split(","))) for k, v in addresses.items()}
    if addresses["hostaddr"] and not any("," in value for value in addresses.values()):
        del harmless["host"]  # it is not looked up, and a password file may name it
    connection = pq.PGconn.connect_start(make_conninfo(conninfo, **harmless).encode())
    try:
        info = {**info_of(connection, finish=False), **{k: v for k, v in addresses.items() if v}}
        password = connection.password.decode("utf-8", "surrogateescape")
        message = connection.error_message.decode("utf-8", "replace")
    finally:
        connection.finish()
    if NOT_A_REFUSAL.sub("", message) or not waits_for(info, conninfo):
        return Verdict(None, message=message)
    return Verdict({k: v for k, v in info.items() if k not in UNCOMPARED}, password, message)


def info_of(connection: pq.PGconn, *, finish: bool = True) -> dict[str, str]:
    try:
        rows = connection.info
    finally:
        if finish:
            connection.finish()
    return {row.keyword.decode(): row.val.decode("utf-8", "surrogateescape") for row in rows if row.val}


def combined(inputs: Inputs) -> str:
    """Write the DSN and the single keywords as one string, the higher one overriding."""
    dsn = re.sub(r"^postgres(ql)?\+[a-z0-9_]+://", "postgresql://", inputs.dsn or "")
    rows = pq.Conninfo.parse(dsn.encode())
    parameters = {row.keyword.decode(): row.val for row in rows if row.val is not None}
    single = {keyword: value.encode() for keyword, value in inputs.keywords.items()}
    rank = ("call", "environment", "dotenv", "DATABASE_URL")
    higher = rank.index(inputs.keywords_in) <= rank.index(inputs.dsn_in)
    merged = {**parameters, **single} if higher else {**single, **parameters}
    return make_conninfo("", **{keyword: value.decode() for keyword, value in merged.items()})


def waits_for(info: Mapping[str, str], conninfo: str) -> bool:
    """Tell whether libpq accepts the timeout, which it looks at only once a server has to be waited for."""
    parameters = {*info, *conninfo_to_dict(conninfo)}
    if not {"connect_timeout", "service"} & parameters and not {"PGCONNECT_TIMEOUT", "PGSERVICE"} & set(
        os.environ
    ):
        return True
    there = {"host": listening(), "hostaddr": "", "port": "5432", "password": "-"}
    passing = {"gssencmode": "disable", "requirepeer": ""}
    connection = pq.PGconn.connect(make_conninfo(conninfo, **there, **passing).encode())
    message = connection.error_message.decode("utf-8", "replace")
    connection.finish()
    return 'connection option "connect_timeout"' not in message


@cache
def listening() -> str:
    """Start a server that ends every connection, and return the directory of its socket.

    It is a process of its own, because psycopg's PQconnectdb lets no other thread run.
    """
    directory = tempfile.mkdtemp()
    server = subprocess.Popen(
        [sys.executable, "-c", ENDS_EVERY_CONNECTION, f"{directory}/.s.PGSQL.5432"], stdout=subprocess.PIPE
    )
    atexit.register(shutil.rmtree, directory)
    atexit.register(server.wait)
    atexit.register(server.kill)
    server.stdout.readline()
    return directory


ENDS_EVERY_CONNECTION = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print(flush=True)
while True:
    server.accept()[0].close()
"""


def harmless_host(host: str) -> str:
    """Replace what would be looked up or reached."""
    return host if not host or host[0] in "/@" else BROADCAST


def harmless_address(address: str) -> str:
    """Replace an address that would be reached; one that is none is left for libpq to reject."""
    try:
        socket.getaddrinfo(address.encode("utf-8", "surrogateescape"), 1, flags=socket.AI_NUMERICHOST)
    except OSError:
        return address
    return BROADCAST if address else ""


HARMLESS = {"host": harmless_host, "hostaddr": harmless_address}


def write_files(inputs: Inputs, home: Path) -> None:
    for name, content in ((".pg_service.conf", inputs.service_file), (".pgpass", inputs.password_file)):
        file = home / name
        file.unlink(missing_ok=True)
        if content is not None:
            file.touch(0o600)
            file.write_bytes(content)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace the environment of the process, which libpq reads, for a moment."""
    with mock.patch.dict(os.environ, variables, clear=True):
        yield


def quoted(value: str) -> str:
    """Quote a value for an env file, where a carriage return by itself would end the line."""
    if "\r" in value:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r") + '"'
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
