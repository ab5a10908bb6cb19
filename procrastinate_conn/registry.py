"""The kinds of connector: one entry for each, complete before its driver is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache, partial

from procrastinate_conn import entry_points
from procrastinate_conn.connector_info import AS_DOCUMENTED, POOL_OPTIONS, ConnectorInfo, OptionSupport
from procrastinate_conn.entry_points import UnusableKind


class ConnectorKind(StrEnum):
    """The kinds of connector; procrastinate's class names are accepted too, in any case.

    The members are the kinds of this package. That of another package is an instance, too, if it is
    installed: ``ConnectorKind("its-name")``.

    Examples
    --------
    >>> ConnectorKind("AiopgConnector")
    <ConnectorKind.AIOPG: 'aiopg'>
    """

    PSYCOPG = "psycopg"
    AIOPG = "aiopg"
    SYNC_PSYCOPG = "sync-psycopg"
    PSYCOPG2 = "psycopg2"
    SQLALCHEMY_PSYCOPG2 = "sqlalchemy-psycopg2"
    SQLALCHEMY_PSYCOPG = "sqlalchemy-psycopg"
    SQLALCHEMY_ASYNC = "sqlalchemy-async"
    ASYNCPG = "asyncpg"
    IN_MEMORY = "in-memory"

    @classmethod
    def _missing_(cls, value: object) -> ConnectorKind | None:
        if not isinstance(value, str):
            return None
        wanted = value.strip().lower().replace("_", "-")
        for kind, info in REGISTRY.items():
            if wanted in (kind.value, info.implementation_class.lower()):
                return kind
        return None if entry_points.find(wanted) is None else _kind_of_another_package(wanted)


@cache
def _kind_of_another_package(name: str) -> ConnectorKind:
    """Return the one object for a kind that is no member: those are the kinds of this package."""
    kind = str.__new__(ConnectorKind, name)
    kind._name_, kind._value_ = name.upper().replace("-", "_"), name
    return kind


DEFAULT_KIND = ConnectorKind.PSYCOPG


_exact = partial(OptionSupport, "exact")
_emulated = partial(OptionSupport, "emulated")
_not_possible = partial(OptionSupport, "not possible")

_ON_PSYCOPG: Mapping[str, OptionSupport] = {
    **POOL_OPTIONS,
    "connection_class": AS_DOCUMENTED,
    "close_returns": AS_DOCUMENTED,
    "check_after": _emulated("in place of psycopg_pool's check, which pings every time"),
    "prepare_threshold": _emulated("psycopg's own, passed to every connection"),
}


def _on_engine(driver: str) -> Mapping[str, OptionSupport]:
    """Return the options that a SQLAlchemy engine has, in its own terms."""
    return {
        "min_size": _exact("pool_size of the engine"),
        "max_size": _exact("pool_size plus max_overflow of the engine"),
        "timeout": _exact("pool_timeout of the engine"),
        "max_lifetime": _exact("pool_recycle of the engine, spread out"),
        "max_idle": _exact("the engine's overflow, closed after this time instead of at once"),
        "configure": _exact(f"the engine's connect event; called with {driver}'s connection"),
        "check_after": _emulated("pool_pre_ping of the engine, but only after this time"),
        "reset": _exact(f"the engine's reset event; called with {driver}'s connection"),
    }


def _over_psycopg2(pool: str, driver: str, own: Mapping[str, OptionSupport]) -> Mapping[str, OptionSupport]:
    """Return the options on psycopg2's connections; `own` has those in the terms of the driver's own pool."""
    return {
        **POOL_OPTIONS,
        **dict.fromkeys(("configure", "reset", "check"), _exact(f"called with {driver}'s connection")),
        "max_waiting": _exact(f"{pool} has no such bound"),
        "check_after": _emulated(f"{pool} never pings"),
        "prepare_threshold": _emulated("psycopg2 prepares no statements, as with none"),
        "connection_class": _not_possible(
            "the connections are psycopg2's, and the connector wraps them itself"
        ),
        "close_returns": _not_possible("closing a psycopg2 connection always closes it"),
        **own,
    }


_ON_PSYCOPG_ENGINE: Mapping[str, OptionSupport] = {
    **_ON_PSYCOPG,
    **_on_engine("psycopg"),
    "check": _exact("called with psycopg's connection"),
    "max_waiting": _exact("the engine's own pool has no such bound"),
    "connection_class": _not_possible("the connector has a class of its own"),
    "close_returns": _not_possible("the connector returns what the engine closes"),
}


class _Registry(dict[ConnectorKind, ConnectorInfo]):
    """The kinds of this package; one of another package is found by its name, and is not among the items."""

    def __missing__(self, kind: ConnectorKind) -> ConnectorInfo:
        if (info := entry_points.find(kind)) is None:
            raise KeyError(kind)
        return info


_OURS = {
    ConnectorKind.PSYCOPG: ConnectorInfo(
        class_module="procrastinate.psycopg_connector",
        class_name="PsycopgConnector",
        implementation=".psycopg.connector:PsycopgConnector",
        drivers=("psycopg",),
        extra="binary",
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_ON_PSYCOPG,
        aliases=("async", "postgres", "postgresql"),
    ),
    ConnectorKind.AIOPG: ConnectorInfo(
        class_module="procrastinate.contrib.aiopg",
        class_name="AiopgConnector",
        implementation=".aiopg.connector:AiopgConnector",
        drivers=("aiopg", "psycopg2"),
        extra="aiopg",
        size_by_hand=10,
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_over_psycopg2(
            "aiopg's own pool",
            "aiopg",
            {
                "min_size": _exact("minsize of aiopg.Pool"),
                "max_size": _exact("maxsize of aiopg.Pool"),
                "timeout": _exact(
                    "a caller waits in turn; aiopg's own timeout bounds each statement instead"
                ),
                "max_lifetime": _exact("pool_recycle of aiopg.Pool, spread out"),
                "max_idle": _exact("aiopg's own pool never shrinks"),
                "configure": _exact("on_connect of aiopg.Pool; called with aiopg's connection"),
            },
        ),
    ),
    ConnectorKind.SYNC_PSYCOPG: ConnectorInfo(
        class_module="procrastinate.sync_psycopg_connector",
        class_name="SyncPsycopgConnector",
        implementation=".psycopg.connector:SyncPsycopgConnector",
        drivers=("psycopg",),
        extra="binary",
        asynchronous=False,
        resolves_hosts=True,
        pool_options=_ON_PSYCOPG,
        aliases=("psycopg-sync", "sync"),
    ),
    ConnectorKind.PSYCOPG2: ConnectorInfo(
        class_module="procrastinate.contrib.psycopg2",
        class_name="Psycopg2Connector",
        implementation=".psycopg2.connector:Psycopg2Connector",
        drivers=("psycopg2",),
        extra="psycopg2",
        size_by_hand=10,
        asynchronous=False,
        resolves_hosts=False,
        pool_options=_over_psycopg2(
            "psycopg2's own pool",
            "psycopg2",
            {
                "min_size": _exact("minconn of psycopg2's ThreadedConnectionPool"),
                "max_size": _exact("maxconn of psycopg2's ThreadedConnectionPool"),
                "timeout": _exact("a caller waits in turn; psycopg2's own pool raises at once"),
                "max_lifetime": _exact("psycopg2's own pool never retires a connection"),
                "max_idle": _exact("psycopg2's own pool never retires a connection"),
            },
        ),
    ),
    ConnectorKind.SQLALCHEMY_PSYCOPG2: ConnectorInfo(
        class_module="procrastinate.contrib.sqlalchemy",
        class_name="SQLAlchemyPsycopg2Connector",
        implementation=".sqlalchemy.psycopg2_connector:SQLAlchemyPsycopg2Connector",
        drivers=("sqlalchemy", "psycopg2"),
        extra="sqlalchemy,psycopg2",
        size_by_hand=15,
        asynchronous=False,
        resolves_hosts=False,
        pool_options=_over_psycopg2("the engine's own pool", "psycopg2", _on_engine("psycopg2")),
        aliases=("sqlalchemy",),
    ),
    ConnectorKind.SQLALCHEMY_PSYCOPG: ConnectorInfo(
        implementation=".sqlalchemy.psycopg_connector:SQLAlchemyPsycopgConnector",
        drivers=("sqlalchemy", "psycopg"),
        extra="sqlalchemy",
        asynchronous=False,
        resolves_hosts=True,
        pool_options=_ON_PSYCOPG_ENGINE,
        aliases=("sqlalchemy-psycopg3",),
    ),
    ConnectorKind.SQLALCHEMY_ASYNC: ConnectorInfo(
        class_name="BaseAsyncConnector",
        implementation=".sqlalchemy.async_connector:SQLAlchemyAsyncConnector",
        drivers=("sqlalchemy", "greenlet", "psycopg"),
        extra="sqlalchemy",
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_ON_PSYCOPG_ENGINE,
        aliases=("async-sqlalchemy", "sqlalchemy-psycopg-async"),
    ),
    ConnectorKind.ASYNCPG: ConnectorInfo(
        class_name="BaseAsyncConnector",
        implementation=".asyncpg.connector:AsyncpgConnector",
        drivers=("asyncpg",),
        extra="asyncpg",
        asynchronous=True,
        resolves_hosts=True,
        pool_options={
            **POOL_OPTIONS,
            "min_size": _exact("min_size of asyncpg.Pool"),
            "max_size": _exact("max_size of asyncpg.Pool"),
            "timeout": _exact("timeout of asyncpg.Pool's acquire, for every caller"),
            "max_waiting": _exact("asyncpg's own pool has no such bound"),
            "max_lifetime": _exact("asyncpg's own pool retires a connection by its number of queries"),
            "max_idle": _exact("max_inactive_connection_lifetime of asyncpg.Pool"),
            "configure": _exact("init of asyncpg.Pool; called with asyncpg's connection"),
            "check": _exact("called with asyncpg's connection"),
            "reset": _exact("reset of asyncpg.Pool; called with asyncpg's connection"),
            "check_after": _emulated("asyncpg's own pool never pings"),
            "prepare_threshold": _emulated(
                "a number prepares each statement at its first use, none is statement_cache_size=0"
            ),
            "connection_class": _not_possible("the connections are a subclass of asyncpg's already"),
            "close_returns": _not_possible("closing an asyncpg connection always closes it"),
        },
        unsupported_keywords={
            "channel_binding": ("disable", "prefer"),
            "gssdelegation": ("0",),
            "gssencmode": ("disable", "prefer"),
            "krbsrvname": ("postgres",),
            "min_protocol_version": ("3.0",),
            "replication": ("0", "false", "no", "off"),
            "sslcertmode": ("allow", "disable"),
            "sslsni": ("0", "1"),
            **dict.fromkeys(("gsslib", "require_auth", "requirepeer"), ()),
            **dict.fromkeys(("oauth_client_id", "oauth_client_secret", "oauth_issuer", "oauth_scope"), ()),
            **dict.fromkeys(("scram_client_key", "scram_server_key"), ()),
        },
    ),
    ConnectorKind.IN_MEMORY: ConnectorInfo(
        class_module="procrastinate.testing",
        class_name="InMemoryConnector",
        implementation=".in_memory:InMemoryConnector",
        drivers=(),
        extra="binary",
        asynchronous=True,
        resolves_hosts=False,
        pool_options=dict.fromkeys(_ON_PSYCOPG, OptionSupport("without effect", "there are no connections")),
        aliases=("memory", "testing"),
    ),
}

REGISTRY: Mapping[ConnectorKind, ConnectorInfo] = _Registry(_OURS)

SERVER_KINDS = tuple(kind for kind, info in REGISTRY.items() if info.has_server)
"""The kinds of this package that connect to a server."""

_NAMES = {name.lower() for kind, info in REGISTRY.items() for name in (kind, info.implementation_class)}
"""What the kinds of this package may be called."""


def installed_kinds() -> tuple[ConnectorKind, ...]:
    """Return the kinds of this package, and those of others that can be used."""
    unusable = {error.name for error in unusable_kinds()}
    return (*ConnectorKind, *(ConnectorKind(name) for name in entry_points.names() if name not in unusable))


def unusable_kinds() -> Iterator[UnusableKind]:
    """Yield the kinds of other packages that cannot be used, each with the reason."""
    for name in entry_points.names():
        if name in _NAMES:
            reason = "is not used: procrastinate-conn has a connector of that name itself"
            yield UnusableKind(name, entry_points.packages(name), reason)
            continue
        try:
            entry_points.load(name)
        except UnusableKind as error:
            yield error
