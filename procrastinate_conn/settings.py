"""The settings model: what was read, as fields of pydantic-settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr
from pydantic.json_schema import SkipJsonSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.kinds import ConnectorKind
from procrastinate_conn.making import build, configured
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.sources import DEFAULT_ENV_FILE, Files, read_places
from procrastinate_conn.sources.defaults import Defaults
from procrastinate_conn.sources.variables import PREFIX
from procrastinate_conn.spec.connection import ConnectionSpec, is_secret

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

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
        configuration = configured(read_places(values, env_file, _secrets_dir))
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
        return build(self.configuration)


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
