"""The one function that most users call: it does without pydantic-settings, whose import is half of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration, configure
from procrastinate_conn.drivers import no_libpq
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.sources import DEFAULT_ENV_FILE, Files, read_sources
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.defaults import Defaults

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

    from procrastinate_conn.passwords import PasswordFunction
    from procrastinate_conn.settings import ConnectorSettings

logger = logging.getLogger("procrastinate_conn")


def make_connector(
    kind: ConnectorKind | str | None = None,
    /,
    *,
    settings: ConnectorSettings | None = None,
    env_file: Files = DEFAULT_ENV_FILE,
    secrets_dir: Files = None,
    dsn: str | SecretStr | None = None,
    connection: Mapping[str, Any] | None = None,
    pool: Mapping[str, Any] | PoolOptions | str | None = None,
    json_dumps: Callable[[Any], str] | str | None = None,
    json_loads: Callable[[str], Any] | str | None = None,
    password: str | SecretStr | PasswordFunction | None = None,
    password_file: str | Path | None = None,
    password_command: str | SecretStr | None = None,
    defaults: Defaults | None = None,
) -> BaseConnector:
    """Build one of procrastinate's connectors from what describes it; nothing is connected to yet.

    What is not given is read from the environment, the env file and the secrets directory.

    Parameters
    ----------
    kind
        ``psycopg``, ``aiopg``, ``sync-psycopg``, ``psycopg2`` or ``sqlalchemy-psycopg2``, or procrastinate's
        class name.
    settings
        Used in the place of every source, so that no env file and no secrets directory is read; the other
        arguments still come first.
    env_file
        An env file, several (a later one wins), or None. The default may be absent.
    secrets_dir
        A secrets directory, several (a later one wins), or None.
    dsn
        URI or keyword/value string.
    connection
        Keywords of libpq.
    pool
        Pool options in psycopg_pool's names, for every connector; ``"null"`` for no pooling.
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
        "json_dumps": json_dumps,
        "json_loads": json_loads,
        "password": password,
        "password_file": password_file,
        "password_command": password_command,
        "defaults": defaults,
    }
    try:
        if settings is None:
            return build(configured(read_sources(arguments, env_file, secrets_dir)))
        return build(configured([read_call(arguments), *settings.configuration.sources]))
    except ConfigurationError:
        # Sentry sends what a frame still holds, and a password may have been put anywhere.
        del kind, env_file, secrets_dir, dsn, connection, pool, json_dumps, json_loads
        del password, password_file, password_command, arguments
        raise


def configured(sources: list[Source]) -> Configuration:
    """Return what the places say, if a connector can be built from it; warnings are logged.

    Parameters
    ----------
    places
        The places that settings are written in, the nearest first.

    Raises
    ------
    ConfigurationError
        If anything is wrong, with all of it.
    """
    try:
        libpq.version()
    except ImportError as error:
        raise ConfigurationError([no_libpq()]) from error
    configuration = configure(sources)
    if configuration.errors:
        raise ConfigurationError(configuration.problems)
    for problem in configuration.problems:
        logger.warning("%s", problem)
    return configuration


def build(configuration: Configuration) -> BaseConnector:
    """Build the connector that a configuration without errors describes; nothing is connected to yet."""
    from procrastinate_conn import connectors

    return connectors.build(configuration.connector_config())
