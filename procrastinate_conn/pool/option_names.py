"""The names of the options: which exist, which are the connector's own, and what was meant by the others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from procrastinate_conn import libpq
from procrastinate_conn.pool.introspection import INTRODUCED, Parameter, installed_version, parameters
from procrastinate_conn.pool.refused import Refused
from procrastinate_conn.registry import FACTS, ConnectorKind
from procrastinate_conn.rules import pool as rules
from procrastinate_conn.suggestions import nearest

CHECK_AFTER = Parameter("check_after", float, 60.0)
"""Our own option: seconds of idleness after which a connection is asked for real before hand-out."""

PREPARE_THRESHOLD = Parameter("prepare_threshold", int | None, 5)
"""Our own option, which psycopg has for each connection: after so many executions a query is prepared on it.

None is for poolers between us and the server that lend the same server connection to many clients."""

OWN = {parameter.name: parameter for parameter in (CHECK_AFTER, PREPARE_THRESHOLD)}

RESERVED = {
    "conninfo": (
        "the connector makes it from the connection settings",
        "write it as dsn, or its keywords in connection",
    ),
    "kwargs": (
        "the connector makes them from the connection settings",
        "write connection.<keyword> for each of libpq's keywords",
    ),
    "open": ("procrastinate opens the pool when the application opens", "use app.open() or app.open_async()"),
}
"""The parameters that the connector passes itself: why, and what to do instead."""

TRANSLATIONS = {
    # aiopg, asyncpg, psycopg2
    "minsize": "min_size",
    "minconn": "min_size",
    "maxsize": "max_size",
    "maxconn": "max_size",
    "max_inactive_connection_lifetime": "max_idle",
    "on_connect": "configure",
    "init": "configure",
    "statement_cache_size": "prepare_threshold",
    "setup": "check",
    # SQLAlchemy
    "pool_size": "min_size",
    "max_overflow": "max_size",
    "pool_timeout": "timeout",
    "pool_recycle": "max_lifetime",
    "pool_pre_ping": "check_after",
    "pool_reset_on_return": "reset",
    "pool_logging_name": "name",
    # HikariCP
    "minimum_idle": "min_size",
    "maximum_pool_size": "max_size",
    "connection_timeout": "timeout",
    "idle_timeout": "max_idle",
    "pool_name": "name",
    # PgBouncer
    "min_pool_size": "min_size",
    "default_pool_size": "max_size",
    "max_db_connections": "max_size",
    "query_wait_timeout": "timeout",
    "server_idle_timeout": "max_idle",
    "server_lifetime": "max_lifetime",
    "server_check_delay": "check_after",
}
"""What other pools call the same thing, or the nearest to it."""

_NOTES = {
    "max_overflow": "; max_size counts all the connections, not those beyond min_size",
    "pool_pre_ping": "; 0 asks before every hand-out",
    "statement_cache_size": "; none prepares nothing",
}

UNNEEDED = {
    "autocommit": "leave it out: every connector commits each query by itself",
    "cursor_factory": "leave it out: procrastinate chooses its own",
    "enable_json": "leave it out: json_loads, a setting of its own, says how JSON is read",
    "row_factory": "leave it out: procrastinate chooses its own",
}
"""What connectors written by hand are given for their connections, and these see to themselves."""

_SETTINGS = ("json_dumps", "json_loads", "password_file", "password_command")
"""Settings beside the pool's that may be looked for in it."""


def vocabulary(kind: ConnectorKind, *, null: bool) -> Mapping[str, Parameter]:
    """Return the options that can be stated for a connector, by name."""
    known = parameters(asynchronous=FACTS[kind].asynchronous, null=null)
    return {n: p for n, p in known.items() if n not in RESERVED} | OWN


def require_known(name: str, known: Mapping[str, Parameter]) -> None:
    """Judge a name.

    Parameters
    ----------
    name
        As it is written.
    known
        The vocabulary.

    Raises
    ------
    Refused
        The option is the connector's own, too new for the installed psycopg_pool, or unknown.
    """
    if name in RESERVED:
        why, instead = RESERVED[name]
        raise Refused(rules.RESERVED, f"{name} cannot be stated: {why}", instead)
    if name in known:
        return
    if name in INTRODUCED:
        raise Refused(
            rules.POOL_TOO_OLD,
            f"{name} came with psycopg_pool {INTRODUCED[name]}, and {installed_version()} is installed",
            f'pip install --upgrade "psycopg-pool>={INTRODUCED[name]}"',
        )
    hint = suggestion(name, known) or "`procrastinate-conn schema` lists them all"
    raise Refused(rules.UNKNOWN_OPTION, f"there is no pool option {name[:40]}", hint)


def meant(name: str, known: Mapping[str, Parameter]) -> str | None:
    """Return the option that was probably meant by an unknown name; None where nothing comes near."""
    plain = _plain(name)
    if plain in TRANSLATIONS:
        return TRANSLATIONS[plain]
    if plain in libpq.keywords() or plain in _SETTINGS:
        return None
    near = nearest(plain, [*known, *TRANSLATIONS])
    return TRANSLATIONS.get(near, near) if near else None


def suggestion(name: str, known: Mapping[str, Parameter]) -> str:
    """Return the hint about an unknown name; empty where nothing comes near."""
    plain, option = _plain(name), meant(name, known)
    if plain in TRANSLATIONS:
        return f"psycopg_pool calls it {option}{_NOTES.get(plain, '')}"
    if plain in libpq.keywords():
        return f"it is a keyword of libpq: write connection.{plain}"
    if plain in _SETTINGS:
        return f"it is a setting of its own: write {plain}"
    if plain in UNNEEDED:
        return UNNEEDED[plain]
    return f"did you mean {option}?" if option else ""


def _plain(name: str) -> str:
    """Return a name in small letters with underscores: ``max_size`` for ``maxSize``, ``MAX-SIZE``."""
    if not name.isupper():
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", name)
    return name.lower().replace("-", "_")
