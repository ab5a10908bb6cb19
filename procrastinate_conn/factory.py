"""`make_connector`, which does not import pydantic-settings: that would double the start-up time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never, overload

from pydantic import SecretStr

from procrastinate_conn import drivers, suggestions
from procrastinate_conn.configuration import Configuration, configure_or_raise
from procrastinate_conn.origins import CALL, Origin
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames
from procrastinate_conn.sources import DEFAULT_ENV_FILE, read_sources
from procrastinate_conn.sources.arguments import ARGUMENTS, read_call
from procrastinate_conn.sources.base import INVALID_VALUE, UNKNOWN_SETTING, Files, Source
from procrastinate_conn.sources.defaults import Defaults

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from procrastinate import PsycopgConnector, SyncPsycopgConnector
    from procrastinate.connector import BaseAsyncConnector, BaseConnector
    from procrastinate.contrib.aiopg import AiopgConnector
    from procrastinate.contrib.psycopg2 import Psycopg2Connector
    from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
    from procrastinate.testing import InMemoryConnector

    from procrastinate_conn.passwords import PasswordFunction
    from procrastinate_conn.settings import ConnectorSettings

    class _Arguments(TypedDict, total=False):
        settings: ConnectorSettings | None
        env_prefix: str | None
        env_file: Files
        secrets_dir: Files
        dsn: str | SecretStr | None
        connection: Mapping[str, Any] | None
        pool: Mapping[str, Any] | PoolOptions | str | None
        listen: Mapping[str, Any] | Literal["off"] | None
        json_dumps: Callable[[Any], str | bytes] | str | None
        json_loads: Callable[[str], Any] | str | None
        password: str | SecretStr | PasswordFunction | None
        password_file: str | Path | None
        password_command: str | SecretStr | None
        defaults: Defaults | None


@overload
def make_connector(
    kind: Literal["psycopg", ConnectorKind.PSYCOPG], /, **arguments: Unpack[_Arguments]
) -> PsycopgConnector: ...
@overload
def make_connector(
    kind: Literal["aiopg", ConnectorKind.AIOPG], /, **arguments: Unpack[_Arguments]
) -> AiopgConnector: ...
@overload
def make_connector(
    kind: Literal["sync-psycopg", ConnectorKind.SYNC_PSYCOPG], /, **arguments: Unpack[_Arguments]
) -> SyncPsycopgConnector: ...
@overload
def make_connector(
    kind: Literal["psycopg2", ConnectorKind.PSYCOPG2], /, **arguments: Unpack[_Arguments]
) -> Psycopg2Connector: ...
@overload
def make_connector(
    kind: Literal["sqlalchemy-psycopg2", ConnectorKind.SQLALCHEMY_PSYCOPG2],
    /,
    **arguments: Unpack[_Arguments],
) -> SQLAlchemyPsycopg2Connector: ...
@overload
def make_connector(
    kind: Literal["in-memory", ConnectorKind.IN_MEMORY], /, **arguments: Unpack[_Arguments]
) -> InMemoryConnector: ...
@overload
def make_connector(
    kind: Literal["sqlalchemy-async", "asyncpg", ConnectorKind.SQLALCHEMY_ASYNC, ConnectorKind.ASYNCPG],
    /,
    **arguments: Unpack[_Arguments],
) -> BaseAsyncConnector: ...
@overload
def make_connector(
    kind: ConnectorKind | str | None = None, /, **arguments: Unpack[_Arguments]
) -> BaseConnector: ...
def make_connector(
    kind: ConnectorKind | str | None = None,
    /,
    *,
    settings: ConnectorSettings | None = None,
    env_prefix: str | None = None,
    env_file: Files = DEFAULT_ENV_FILE,
    secrets_dir: Files = None,
    dsn: str | SecretStr | None = None,
    connection: Mapping[str, Any] | None = None,
    pool: Mapping[str, Any] | PoolOptions | str | None = None,
    listen: Mapping[str, Any] | Literal["off"] | None = None,
    json_dumps: Callable[[Any], str | bytes] | str | None = None,
    json_loads: Callable[[str], Any] | str | None = None,
    password: str | SecretStr | PasswordFunction | None = None,
    password_file: str | Path | None = None,
    password_command: str | SecretStr | None = None,
    defaults: Defaults | None = None,
    **unknown: Never,
) -> BaseConnector:
    """Build one of procrastinate's connectors, without connecting it.

    Settings that are not given are read from the environment, the env file and the secrets directory.

    Parameters
    ----------
    kind
        The name of a `ConnectorKind`, or procrastinate's class name, in any case; by default ``psycopg``.
    settings
        Replaces every source: no env file and no secrets directory is read. The other arguments override it.
    env_prefix
        What the names of the variables begin with; by default ``PROCRASTINATE_CONN_``.
    env_file
        An env file, several (a later one overrides), or None. The default may be absent, and of several any
        but one.
    secrets_dir
        A secrets directory, several (a later one overrides), or None.
    dsn
        URI or keyword/value string.
    connection
        Keywords of libpq.
    pool
        Pool options in psycopg_pool's names, for every connector; ``"null"`` for no pooling.
    listen
        What differs for the connection on which a worker listens: keywords of libpq, or ``dsn``; ``"off"``
        lets workers poll.
    json_dumps, json_loads
        As procrastinate's connectors take them, or ``package.module:function``.
    password
        The password, or a function that gives it, called for every new connection.
    password_file
        A file that holds the password, read for every new connection.
    password_command
        A command that prints the password, run without a shell; its output is used for 10 s.
    defaults
        ``resilient`` or ``libpq``.
    **unknown
        Is an error, which says where each belongs: a connector written by hand has other arguments.

    Returns
    -------
    procrastinate.connector.BaseConnector
        An instance of procrastinate's class for that kind.

    Raises
    ------
    ConfigurationError
        If anything is wrong, with all of it.
    """
    arguments = {
        "connector": kind,
        "dsn": dsn,
        "connection": connection,
        "pool": pool,
        "listen": listen,
        "json_dumps": json_dumps,
        "json_loads": json_loads,
        "password": password,
        "password_file": password_file,
        "password_command": password_command,
        "defaults": defaults,
    }
    try:
        drivers.require_libpq()
        if settings is None:
            names = DEFAULT_NAMES if env_prefix is None else SettingNames(env_prefix)
            sources = read_sources(arguments, env_file, secrets_dir, names=names)
        else:
            sources = [read_call(arguments), *_sources_of(settings)]
        if unknown:
            sources.insert(0, Source(CALL, problems=list(map(_unknown, unknown))))
        return configure_or_raise(sources).build_connector()
    except ConfigurationError:
        # Sentry sends the variables of every frame, and a password may be in any of them.
        del kind, settings, env_file, secrets_dir, dsn, connection, pool, listen, json_dumps, json_loads
        del password, password_file, password_command, arguments, unknown
        raise


def _sources_of(settings: object) -> tuple[Source, ...]:
    configuration = getattr(settings, "configuration", None)
    if isinstance(configuration, Configuration):
        return configuration.sources
    message, hint = f"settings is a {type(settings).__name__}", "give an instance of ConnectorSettings"
    if isinstance(settings, type):
        message, hint = f"settings is the class {settings.__name__}", f"write settings={settings.__name__}()"
    origin = Origin("call", "settings")
    raise ConfigurationError([INVALID_VALUE("settings", message, hint=hint, origin=origin)])


def _unknown(name: str) -> Problem:
    known = ("settings", "env_prefix", "env_file", "secrets_dir", *ARGUMENTS)
    hint = suggestions.hand_written_argument_hint(name, known)
    message = f"make_connector has no argument {name}"
    return UNKNOWN_SETTING(name, message, hint=hint, origin=Origin("call", name))
