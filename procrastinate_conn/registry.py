"""The kinds of connector: one entry for each, complete before its driver is imported."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple


class ConnectorKind(StrEnum):
    """The kinds of connector; procrastinate's class names are accepted too, in any case.

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
        return None


DEFAULT_KIND = ConnectorKind.PSYCOPG


class OptionSupport(NamedTuple):
    """How a kind supports a pool option.

    ``exact``: psycopg_pool does it; ``emulated``: the connector does it another way; ``not possible``: it
    cannot be set; ``without effect``: it can be set, and there is no pool.
    """

    how: Literal["exact", "emulated", "not possible", "without effect"]
    sentence: str  # the option in the terms of the kind's own pool, or why it is not possible


AS_DOCUMENTED = OptionSupport("exact", "as psycopg_pool documents it")
NOT_SUPPORTED = OptionSupport("not possible", "the connector does not support it")


class ConnectorInfo(NamedTuple):
    """One kind of connector: everything that differs between the kinds, outside its implementation."""

    class_module: str
    class_name: str  # procrastinate's class that the connector is an instance of
    implementation: str  # the connector's class, as module:class below `connectors`; it names the kind too
    drivers: tuple[str, ...]  # the modules that have to be installed; none if it connects to no server
    extra: str  # of procrastinate-conn, which installs them; or several with commas, as pip takes them
    asynchronous: bool  # whether it defers asynchronously and runs a worker; every kind defers synchronously
    resolves_hosts: bool  # whether the driver resolves the names of hosts before libpq sees them
    pool_options: Mapping[str, OptionSupport]  # that it supports, and how; any other is an error
    aliases: tuple[str, ...] = ()  # other names for which this kind is suggested
    size_by_hand: int = 0  # connections that procrastinate's class may have by default, if more than here
    # The keywords of libpq that the driver cannot honour, and their values that ask for nothing.
    unsupported_keywords: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @property
    def implementation_class(self) -> str:
        """The name of the connector's class."""
        return self.implementation.rpartition(":")[2]

    @property
    def has_server(self) -> bool:
        """Whether it connects to a server."""
        return bool(self.drivers)

    @property
    def uses_psycopg2(self) -> bool:
        """Whether it connects through psycopg2, whose libpq may differ from psycopg's."""
        return "psycopg2" in self.drivers

    def support(self, option: str) -> OptionSupport:
        """Return how a pool option is supported."""
        return self.pool_options.get(option, NOT_SUPPORTED)

    def supports(self, option: str) -> bool:
        """Return whether a pool option can be set."""
        return self.support(option).how != "not possible"


_EVERY_KIND: Mapping[str, OptionSupport] = {
    **dict.fromkeys(
        (
            "min_size", "max_size", "timeout", "max_waiting", "max_lifetime", "max_idle",
            "configure", "check", "reset", "name", "reconnect_timeout", "reconnect_failed", "num_workers",
        ),
        AS_DOCUMENTED,
    ),
    "response_timeout": OptionSupport("emulated", "for a worker, which synchronous connectors do not run"),
}  # fmt: skip

_PSYCOPG: Mapping[str, OptionSupport] = {
    **_EVERY_KIND,
    "connection_class": AS_DOCUMENTED,
    "close_returns": AS_DOCUMENTED,
    "check_after": OptionSupport("emulated", "in place of psycopg_pool's check, which pings every time"),
    "prepare_threshold": OptionSupport("emulated", "psycopg's own, passed to every connection"),
}


_ENGINE_CHECK = "pool_pre_ping of the engine, but only after this time"


def _on_engine(driver: str) -> Mapping[str, str]:
    """Return the options that a SQLAlchemy engine has, in its own terms."""
    return {
        "min_size": "pool_size of the engine",
        "max_size": "pool_size plus max_overflow of the engine",
        "timeout": "pool_timeout of the engine",
        "max_lifetime": "pool_recycle of the engine, spread out",
        "max_idle": "the engine's overflow, closed after this time instead of at once",
        "configure": f"the engine's connect event; called with {driver}'s connection",
        "reset": f"the engine's reset event; called with {driver}'s connection",
    }


def _exactly(sentences: Mapping[str, str]) -> Mapping[str, OptionSupport]:
    return {option: OptionSupport("exact", sentence) for option, sentence in sentences.items()}


def _over_psycopg2(
    pool: str, driver: str = "psycopg2", *, check_after: str = "", **exact: str
) -> Mapping[str, OptionSupport]:
    """Return the support on psycopg2's connections; `exact` has the options in the own pool's terms."""
    called = f"called with {driver}'s connection"
    unbounded = f"{pool} has no such bound"
    exact = {"configure": called, "reset": called, "check": called, "max_waiting": unbounded, **exact}
    return {
        **_EVERY_KIND,
        **_exactly(exact),
        "check_after": OptionSupport("emulated", check_after or f"{pool} never pings"),
        "prepare_threshold": OptionSupport("emulated", "psycopg2 prepares no statements, as with none"),
        "connection_class": OptionSupport(
            "not possible", "the connections are psycopg2's, and the connector wraps them itself"
        ),
        "close_returns": OptionSupport("not possible", "closing a psycopg2 connection always closes it"),
    }


_ON_PSYCOPG_ENGINE: Mapping[str, OptionSupport] = {
    **_PSYCOPG,
    **_exactly(_on_engine("psycopg")),
    "check": OptionSupport("exact", "called with psycopg's connection"),
    "max_waiting": OptionSupport("exact", "the engine's own pool has no such bound"),
    "check_after": OptionSupport("emulated", _ENGINE_CHECK),
    "connection_class": OptionSupport("not possible", "the connector has a class of its own"),
    "close_returns": OptionSupport("not possible", "the connector returns what the engine closes"),
}

_ON_ASYNCPG: Mapping[str, OptionSupport] = {
    **_EVERY_KIND,
    **_exactly(
        {
            "min_size": "min_size of asyncpg.Pool",
            "max_size": "max_size of asyncpg.Pool",
            "timeout": "timeout of asyncpg.Pool's acquire, for every caller",
            "max_waiting": "asyncpg's own pool has no such bound",
            "max_lifetime": "asyncpg's own pool retires a connection by its number of queries",
            "max_idle": "max_inactive_connection_lifetime of asyncpg.Pool",
            "configure": "init of asyncpg.Pool; called with asyncpg's connection",
            "check": "called with asyncpg's connection",
            "reset": "reset of asyncpg.Pool; called with asyncpg's connection",
        }
    ),
    "check_after": OptionSupport("emulated", "asyncpg's own pool never pings"),
    "prepare_threshold": OptionSupport(
        "emulated", "a number prepares each statement at its first use, none is statement_cache_size=0"
    ),
    "connection_class": OptionSupport("not possible", "the connections are a subclass of asyncpg's already"),
    "close_returns": OptionSupport("not possible", "closing an asyncpg connection always closes it"),
}

_NOT_IN_ASYNCPG: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer"),
    "gssdelegation": ("0",),
    "gssencmode": ("disable", "prefer"),
    "gsslib": (),
    "krbsrvname": ("postgres",),
    "min_protocol_version": ("3.0",),
    "oauth_client_id": (),
    "oauth_client_secret": (),
    "oauth_issuer": (),
    "oauth_scope": (),
    "replication": ("0", "false", "no", "off"),
    "require_auth": (),
    "requirepeer": (),
    "scram_client_key": (),
    "scram_server_key": (),
    "sslcertmode": ("allow", "disable"),
    "sslsni": ("0", "1"),
}

REGISTRY: Mapping[ConnectorKind, ConnectorInfo] = {
    ConnectorKind.PSYCOPG: ConnectorInfo(
        class_module="procrastinate.psycopg_connector",
        class_name="PsycopgConnector",
        implementation="psycopg.connector:PsycopgConnector",
        drivers=("psycopg",),
        extra="binary",
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_PSYCOPG,
        aliases=("async", "postgres", "postgresql"),
    ),
    ConnectorKind.AIOPG: ConnectorInfo(
        class_module="procrastinate.contrib.aiopg",
        class_name="AiopgConnector",
        implementation="aiopg.connector:AiopgConnector",
        drivers=("aiopg", "psycopg2"),
        extra="aiopg",
        size_by_hand=10,
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_over_psycopg2(
            "aiopg's own pool",
            "aiopg",
            min_size="minsize of aiopg.Pool",
            max_size="maxsize of aiopg.Pool",
            timeout="a caller waits in turn; aiopg's own timeout bounds each statement instead",
            max_lifetime="pool_recycle of aiopg.Pool, spread out",
            max_idle="aiopg's own pool never shrinks",
            configure="on_connect of aiopg.Pool; called with aiopg's connection",
        ),
    ),
    ConnectorKind.SYNC_PSYCOPG: ConnectorInfo(
        class_module="procrastinate.sync_psycopg_connector",
        class_name="SyncPsycopgConnector",
        implementation="psycopg.connector:SyncPsycopgConnector",
        drivers=("psycopg",),
        extra="binary",
        asynchronous=False,
        resolves_hosts=True,
        pool_options=_PSYCOPG,
        aliases=("psycopg-sync", "sync"),
    ),
    ConnectorKind.PSYCOPG2: ConnectorInfo(
        class_module="procrastinate.contrib.psycopg2",
        class_name="Psycopg2Connector",
        implementation="psycopg2.connector:Psycopg2Connector",
        drivers=("psycopg2",),
        extra="psycopg2",
        size_by_hand=10,
        asynchronous=False,
        resolves_hosts=False,
        pool_options=_over_psycopg2(
            "psycopg2's own pool",
            min_size="minconn of psycopg2's ThreadedConnectionPool",
            max_size="maxconn of psycopg2's ThreadedConnectionPool",
            timeout="a caller waits in turn; psycopg2's own pool raises at once",
            max_lifetime="psycopg2's own pool never retires a connection",
            max_idle="psycopg2's own pool never retires a connection",
        ),
    ),
    ConnectorKind.SQLALCHEMY_PSYCOPG2: ConnectorInfo(
        class_module="procrastinate.contrib.sqlalchemy",
        class_name="SQLAlchemyPsycopg2Connector",
        implementation="sqlalchemy.psycopg2_connector:SQLAlchemyPsycopg2Connector",
        drivers=("sqlalchemy", "psycopg2"),
        extra="sqlalchemy,psycopg2",
        size_by_hand=15,
        asynchronous=False,
        resolves_hosts=False,
        pool_options=_over_psycopg2(
            "the engine's own pool", check_after=_ENGINE_CHECK, **_on_engine("psycopg2")
        ),
        aliases=("sqlalchemy",),
    ),
    ConnectorKind.SQLALCHEMY_PSYCOPG: ConnectorInfo(
        class_module="procrastinate.connector",
        class_name="BaseConnector",
        implementation="sqlalchemy.psycopg_connector:SQLAlchemyPsycopgConnector",
        drivers=("sqlalchemy", "psycopg"),
        extra="sqlalchemy",
        asynchronous=False,
        resolves_hosts=True,
        pool_options=_ON_PSYCOPG_ENGINE,
        aliases=("sqlalchemy-psycopg3",),
    ),
    ConnectorKind.SQLALCHEMY_ASYNC: ConnectorInfo(
        class_module="procrastinate.connector",
        class_name="BaseAsyncConnector",
        implementation="sqlalchemy.async_connector:SQLAlchemyAsyncConnector",
        drivers=("sqlalchemy", "greenlet", "psycopg"),
        extra="sqlalchemy",
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_ON_PSYCOPG_ENGINE,
        aliases=("async-sqlalchemy", "sqlalchemy-psycopg-async"),
    ),
    ConnectorKind.ASYNCPG: ConnectorInfo(
        class_module="procrastinate.connector",
        class_name="BaseAsyncConnector",
        implementation="asyncpg.connector:AsyncpgConnector",
        drivers=("asyncpg",),
        extra="asyncpg",
        asynchronous=True,
        resolves_hosts=True,
        pool_options=_ON_ASYNCPG,
        unsupported_keywords=_NOT_IN_ASYNCPG,
    ),
    ConnectorKind.IN_MEMORY: ConnectorInfo(
        class_module="procrastinate.testing",
        class_name="InMemoryConnector",
        implementation="in_memory:InMemoryConnector",
        drivers=(),
        extra="binary",
        asynchronous=True,
        resolves_hosts=False,
        pool_options=dict.fromkeys(_PSYCOPG, OptionSupport("without effect", "there are no connections")),
        aliases=("memory", "testing"),
    ),
}

SERVER_KINDS = tuple(kind for kind, info in REGISTRY.items() if info.has_server)
"""The kinds that connect to a server."""
