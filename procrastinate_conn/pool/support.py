"""What each pool option means on each kind of connector: exact, emulated or not possible."""

from __future__ import annotations

from typing import Literal, NamedTuple

from procrastinate_conn.registry import ConnectorKind

PSYCOPG_KINDS = (ConnectorKind.PSYCOPG, ConnectorKind.SYNC_PSYCOPG)
PSYCOPG2, AIOPG, SQLALCHEMY = (
    ConnectorKind.PSYCOPG2,
    ConnectorKind.AIOPG,
    ConnectorKind.SQLALCHEMY_PSYCOPG2,
)


class Meaning(NamedTuple):
    """How an option is honoured on one kind.

    Parameters
    ----------
    how
        ``exact``: psycopg_pool does it; ``emulated``: we do the same another way;
        ``not possible``: stating it is an error.
    sentence
        What that comes to, in the terms of the kind's own pool.
    """

    how: Literal["exact", "emulated", "not possible"]
    sentence: str


def meaning(option: str, kind: ConnectorKind) -> Meaning:
    """Return what `option` means on connectors of `kind`.

    Every kind's connections are kept by psycopg_pool's pools, so that an option is exact where
    nothing else is written here, those of a newer psycopg_pool among them.
    """
    return _TABLE.get(option, {}).get(kind, _EXACT)


_EXACT = Meaning("exact", "as psycopg_pool documents it")


def _exact(psycopg2: str, aiopg: str, sqlalchemy: str) -> dict[ConnectorKind, Meaning]:
    """Say what an exact option is called in the pools that the other three kinds show."""
    sentences = {PSYCOPG2: psycopg2, AIOPG: aiopg, SQLALCHEMY: sqlalchemy}
    return {kind: Meaning("exact", sentence) for kind, sentence in sentences.items()}


def _not_possible(sentence: str) -> dict[ConnectorKind, Meaning]:
    return dict.fromkeys((PSYCOPG2, AIOPG, SQLALCHEMY), Meaning("not possible", sentence))


_TABLE: dict[str, dict[ConnectorKind, Meaning]] = {
    "min_size": _exact(
        "minconn of psycopg2's ThreadedConnectionPool",
        "minsize of aiopg.Pool",
        "pool_size of the engine",
    ),
    "max_size": _exact(
        "maxconn of psycopg2's ThreadedConnectionPool",
        "maxsize of aiopg.Pool",
        "pool_size plus max_overflow of the engine",
    ),
    "timeout": _exact(
        "a caller waits in turn; psycopg2's own pool raises at once",
        "a caller waits in turn; aiopg's own timeout bounds each statement instead",
        "pool_timeout of the engine",
    ),
    "max_waiting": _exact(
        "psycopg2's own pool has no such bound",
        "aiopg's own pool has no such bound",
        "SQLAlchemy's own pools have no such bound",
    ),
    "max_lifetime": _exact(
        "psycopg2's own pool never retires a connection",
        "pool_recycle of aiopg.Pool, spread out",
        "pool_recycle of the engine, spread out",
    ),
    "max_idle": _exact(
        "psycopg2's own pool never retires a connection",
        "aiopg's own pool never shrinks",
        "the engine's overflow, closed after this time instead of at once",
    ),
    "configure": _exact(
        "called with psycopg2's connection",
        "on_connect of aiopg.Pool; called with aiopg's connection",
        "the engine's connect event; called with psycopg2's connection",
    ),
    "reset": _exact(
        "called with psycopg2's connection",
        "called with aiopg's connection",
        "the engine's reset event; called with psycopg2's connection",
    ),
    "check": _exact(
        "called with psycopg2's connection",
        "called with aiopg's connection",
        "called with psycopg2's connection",
    ),
    "check_after": {
        kind: Meaning("emulated", sentence)
        for kind, sentence in {
            **dict.fromkeys(PSYCOPG_KINDS, "in the place of psycopg_pool's check, which asks every time"),
            PSYCOPG2: "psycopg2's own pool never asks",
            AIOPG: "aiopg's own pool never asks",
            SQLALCHEMY: "pool_pre_ping of the engine, but only after this time",
        }.items()
    },
    "prepare_threshold": {
        kind: Meaning("emulated", sentence)
        for kind, sentence in {
            **dict.fromkeys(PSYCOPG_KINDS, "psycopg's own, passed to every connection"),
            **dict.fromkeys((PSYCOPG2, AIOPG, SQLALCHEMY), "psycopg2 prepares nothing, as if it were none"),
        }.items()
    },
    "connection_class": _not_possible("the connections are psycopg2's, and the connector wraps them itself"),
    "close_returns": _not_possible("closing a psycopg2 connection always closes it"),
}
