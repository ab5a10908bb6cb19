"""The names of the options: which exist, which are the connector's own, and what was meant by the others."""

from __future__ import annotations

from collections.abc import Mapping

from procrastinate_conn import suggestions
from procrastinate_conn.pool.introspection import INTRODUCED, Parameter, installed_version, parameters
from procrastinate_conn.pool.refused import InvalidOption
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.rules import Example, Rule

UNKNOWN_OPTION = Rule(
    "PC301",
    "unknown pool option",
    "The pool's constructor refuses a name that it does not know, but only when the application opens.",
    "Write the option in psycopg_pool's name; `procrastinate-conn schema` lists them all.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SZIE=4"),
    fault_in="name",
)

RESERVED_OPTION = Rule(
    "PC305",
    "pool option that the connector sets itself",
    "The connector passes it to the pool; passed twice, it is a TypeError when the application opens.",
    "Write what it stands for in the place that the message names.",
    example=Example("PROCRASTINATE_CONN_POOL__CONNINFO=host=localhost"),
    fault_in="name",
)

POOL_TOO_OLD = Rule(
    "PC310",
    "pool option that the installed psycopg_pool lacks",
    "The installed pool refuses the name when the application opens.",
    "Upgrade psycopg_pool, or remove the option.",
    example=Example("PROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true", given="psycopg_pool is older than 3.3"),
    fault_in="name",
)


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


def vocabulary(kind: ConnectorKind, *, null: bool) -> Mapping[str, Parameter]:
    """Return the options that can be stated for a connector, by name."""
    known = parameters(asynchronous=REGISTRY[kind].asynchronous, null=null)
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
    InvalidOption
        The option is the connector's own, too new for the installed psycopg_pool, or unknown.
    """
    if name in RESERVED:
        why, instead = RESERVED[name]
        raise InvalidOption(RESERVED_OPTION, f"{name} cannot be stated: {why}", instead)
    if name in known:
        return
    if name in INTRODUCED:
        raise InvalidOption(
            POOL_TOO_OLD,
            f"{name} came with psycopg_pool {INTRODUCED[name]}, and {installed_version()} is installed",
            f'pip install --upgrade "psycopg-pool>={INTRODUCED[name]}"',
        )
    hint = suggestions.pool_option_hint(name, known) or "`procrastinate-conn schema` lists them all"
    raise InvalidOption(UNKNOWN_OPTION, f"there is no pool option {name[:40]}", hint)
