"""The settings model, and the one function that most users call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr
from pydantic.json_schema import SkipJsonSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration, configure
from procrastinate_conn.kinds import ConnectorKind
from procrastinate_conn.passwords import PasswordSource
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.rules import connector as rules
from procrastinate_conn.sources import DEFAULT_ENV_FILE, Files, read_places
from procrastinate_conn.sources.call import read_call
from procrastinate_conn.sources.defaults import Defaults
from procrastinate_conn.sources.place import Place
from procrastinate_conn.sources.variables import PREFIX
from procrastinate_conn.spec.connection import ConnectionSpec, is_secret

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

logger = logging.getLogger("procrastinate_conn")

_FROM_CONFIG: Any = object()


class ConnectorSettings(BaseSettings):
    """Everything that describes a connector, read from where it is written.

    Reads, nearest first: the arguments, the process environment, the env files, the secrets directories;
    then ``DATABASE_URL``, the service file, libpq's own variables and the defaults.

    Parameters
    ----------
    _env_file
        An env file, several (a later one wins), or None; by default ``.env``, which may be absent.
    _secrets_dir
        A secrets directory, several (a later one wins), or None.
    **values
        The fields below, and ``password``, text or a function.

    Raises
    ------
    ConfigurationError
        If anything is wrong, with all of it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=DEFAULT_ENV_FILE,
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # make_connector needs no instance, and no validator for one
    )

    connector: ConnectorKind = Field(
        ConnectorKind.PSYCOPG, description="Which of the five connectors to build."
    )
    dsn: SecretStr | None = Field(None, description="URI or keyword/value string, as libpq reads it.")
    connection: dict[str, str | SecretStr] = Field(
        default_factory=dict, description="Single keywords of libpq, which beat a DSN in the same place."
    )
    pool: PoolOptions = Field(
        default_factory=PoolOptions, description="Pool options, in psycopg_pool's names for every connector."
    )
    json_dumps: Callable[[Any], str] | None = Field(None, description="How task arguments become JSON.")
    json_loads: Callable[[str], Any] | None = Field(None, description="How JSON becomes task arguments.")
    password_file: Path | None = Field(
        None, description="File that the password is read from, anew for each connection."
    )
    password_command: SecretStr | None = Field(
        None, description="Command that prints the password, run anew for each connection, without a shell."
    )
    defaults: Defaults = Field(
        "resilient",
        description="Whether timeouts and keepalives for long-lived workers are on, or libpq's own.",
    )
    configuration: SkipJsonSchema[Configuration] = Field(exclude=True, repr=False)

    def __init__(self, *, _env_file: Files = _FROM_CONFIG, _secrets_dir: Files = None, **values: Any) -> None:
        env_file = self.model_config.get("env_file") if _env_file is _FROM_CONFIG else _env_file
        configuration = _configure(read_places(values, env_file, _secrets_dir))
        # What pydantic-settings would read is read already, with its origins.
        super().__init__(_env_file=None, **_fields(configuration))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the fields as they were resolved, and read nothing a second time."""
        return (init_settings,)

    def spec(self) -> ConnectionSpec:
        """Return what libpq is told."""
        return self.configuration.blueprint().spec

    def make_connector(self) -> BaseConnector:
        """Build the connector; nothing is connected to yet."""
        return _build(self.configuration)


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
    password: str | SecretStr | PasswordSource | None = None,
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
        Used in the place of every source; the other arguments still come first.
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
        A command that prints the password, run for every new connection, without a shell.
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
    if settings is None:
        return _build(_configure(read_places(arguments, env_file, secrets_dir)))
    return _build(_configure([read_call(arguments), *settings.configuration.places]))


def _configure(places: list[Place]) -> Configuration:
    try:
        libpq.version()
    except ImportError as error:
        hint = "pip install 'procrastinate-conn[binary]', or install the system's libpq"
        problem = rules.NO_LIBPQ("connector", "psycopg cannot load libpq", hint=hint)
        raise ConfigurationError([problem]) from error
    configuration = configure(places)
    if configuration.errors:
        raise ConfigurationError(configuration.problems)
    for problem in configuration.problems:
        logger.warning("%s", problem)
    return configuration


def _build(configuration: Configuration) -> BaseConnector:
    from procrastinate_conn import connectors

    return connectors.build(configuration.blueprint())


def _fields(configuration: Configuration) -> dict[str, Any]:
    """Return the fields of the model, which are what the places say, merged and converted."""
    stated = configuration.settings.stated
    fields: dict[str, Any] = {
        name: stated[name].value for name in ("dsn", "password_file", "password_command") if name in stated
    }
    return {
        **fields,
        "connector": configuration.settings.kind,
        "connection": {
            keyword: SecretStr(str(located.value)) if is_secret(keyword) else str(located.value)
            for place in reversed(configuration.places)
            for keyword, located in place.section("connection").items()
        },
        "pool": configuration.pool,
        "json_dumps": configuration.settings.json_dumps,
        "json_loads": configuration.settings.json_loads,
        "defaults": configuration.settings.defaults,
        "configuration": configuration,
    }
