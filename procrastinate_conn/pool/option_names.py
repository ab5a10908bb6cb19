"""The names of the options: which exist, which kind supports them, and which are reserved."""

from __future__ import annotations

from collections.abc import Mapping

from procrastinate_conn import suggestions
from procrastinate_conn.pool.errors import InvalidOption
from procrastinate_conn.pool.introspection import Parameter, installed_version, parameters
from procrastinate_conn.problems import Example, Rule
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS, ConnectorKind

UNKNOWN_OPTION = Rule(
    "PC301",
    "unknown pool option",
    "The pool's constructor rejects a name that it does not know, but only when the application opens.",
    "Write the option in psycopg_pool's name; `procrastinate-conn schema` lists them all.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SZIE=4"),
    fault_in="name",
)

RESERVED_OPTION = Rule(
    "PC305",
    "pool option that the connector sets itself",
    "The connector passes it to the pool; passed twice, it is a TypeError when the application opens.",
    "Set it in the way that the message names.",
    example=Example("PROCRASTINATE_CONN_POOL__CONNINFO=host=localhost"),
    fault_in="name",
)

UNSUPPORTED_OPTION = Rule(
    "PC306",
    "pool option that this kind of connector does not support",
    "It would be ignored silently, or break the driver's own connections.",
    "Remove it, or choose a kind of connector that supports it.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true"),
    fault_in="name",
    needs_kind=True,
)

POOL_TOO_OLD = Rule(
    "PC310",
    "pool option that the installed psycopg_pool lacks",
    "The installed pool rejects the name when the application opens.",
    "Upgrade psycopg_pool, or remove the option.",
    example=Example("PROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true", given="psycopg_pool is older than 3.3"),
    fault_in="name",
)

INTRODUCED = {"close_returns": "3.3"}
"""The options that are newer than psycopg_pool 3.2, the oldest supported, with the version of each."""

OWN = {
    "check_after": Parameter("check_after", float, 60.0),
    "response_timeout": Parameter("response_timeout", float, 20.0),
    "prepare_threshold": Parameter("prepare_threshold", int | None, 5),  # as psycopg's connections have it
}
"""The options that are not psycopg_pool's: the connectors implement them."""

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


def known_options(kind: ConnectorKind, *, null: bool = False) -> Mapping[str, Parameter]:
    """Return the options that the installed psycopg_pool takes, and ours, if the registry names them.

    Those that are not possible for the kind are among them.
    """
    known = {**parameters(asynchronous=REGISTRY[kind].asynchronous, null=null), **OWN}
    return {name: known[name] for name in known if name in OWN or name in REGISTRY[kind].pool_options}


def require_known(name: str, kind: ConnectorKind, known: Mapping[str, Parameter]) -> None:
    """Reject a name that is reserved, too new for the connector or psycopg_pool, or unknown."""
    if name in RESERVED:
        why, instead = RESERVED[name]
        raise InvalidOption(RESERVED_OPTION, f"{name} cannot be set: {why}", instead)
    if name in known:
        return
    if name in parameters():
        raise unsupported(
            name,
            f"the {kind} connector does not support {name}, which psycopg_pool {installed_version()} has",
        )
    if name in INTRODUCED:
        raise InvalidOption(
            POOL_TOO_OLD,
            f"{name} came with psycopg_pool {INTRODUCED[name]}, and {installed_version()} is installed",
            f'pip install --upgrade "psycopg-pool>={INTRODUCED[name]}"',
        )
    hint = suggestions.pool_option_hint(name, known) or "`procrastinate-conn schema` lists them all"
    raise InvalidOption(UNKNOWN_OPTION, f"there is no pool option {name[:40]}", hint)


def require_possible(name: str, kind: ConnectorKind) -> None:
    """Reject an option that is not possible for a kind."""
    if not REGISTRY[kind].supports(name):
        reason = REGISTRY[kind].support(name).sentence
        raise unsupported(name, f"{name} is not possible on the {kind} connector: {reason}")


def unsupported(name: str, message: str) -> InvalidOption:
    """Return the error with the kinds that support the option in its hint."""
    kinds = [kind for kind in SERVER_KINDS if REGISTRY[kind].supports(name)]
    hint = f"remove it, or choose {' or '.join(kinds[:2])}" if kinds else "remove it"
    return InvalidOption(UNSUPPORTED_OPTION, message, hint)
