"""The settings model: what was read, as fields of pydantic-settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    SerializationInfo,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.spec import ConnectionSpec, without_inputs
from procrastinate_conn.factory import build, configured
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.redaction import MASK, format_value, is_safe_path
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.resolution.connection import as_text
from procrastinate_conn.setting_names import PREFIX
from procrastinate_conn.sources import DEFAULT_ENV_FILE, Files, read_sources
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.defaults import Defaults

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

_FROM_CONFIG: Any = object()


_DEFAULTS_THAT_COUNT = ("connector", "pool", "json_dumps", "json_loads", "defaults")
"""The fields that a subclass may give another default. For the others it would have to come between
places that are merged keyword by keyword: they are stated in one of those."""


class ConnectorSettings(BaseSettings):
    """Everything that describes a connector, read from where it is written.

    Reads, nearest first: the arguments, the process environment, the env files, the secrets directories;
    then ``DATABASE_URL``, the service file, libpq's own variables and the defaults.

    A subclass may name another ``env_file`` and ``secrets_dir`` in its ``model_config``, and other defaults
    of connector, pool, json_dumps, json_loads and defaults; anything else that it changes is a TypeError.

    Parameters
    ----------
    _env_file
        An env file, several (a later one wins), or None; by default ``.env``, which may be absent.
    _secrets_dir
        A secrets directory, several (a later one wins), or None; by default none.
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

    connector: ConnectorKind = Field(ConnectorKind.PSYCOPG, description="Which connector to build.")
    dsn: SecretStr | None = Field(None, description="URI or keyword/value string, as libpq reads it.")
    connection: dict[str, str | SecretStr] = Field(
        default_factory=dict, description="Single keywords of libpq, which beat a DSN in the same place."
    )
    pool: PoolOptions = Field(
        default_factory=PoolOptions, description="In psycopg_pool's names, for every kind of connector."
    )
    json_dumps: Callable[[Any], str] | None = Field(None, description="How task arguments become JSON.")
    json_loads: Callable[[str], Any] | None = Field(None, description="How JSON becomes task arguments.")
    password_file: Path | None = Field(
        None, description="File that the password is read from, anew for each connection."
    )
    password_command: SecretStr | None = Field(
        None,
        description="Command that prints the password for new connections, run without a shell;"
        " its output is used for 10 s.",
    )
    defaults: Defaults = Field(
        "resilient",
        description="Whether timeouts and keepalives for long-lived workers are on, or libpq's own.",
    )
    configuration: SkipJsonSchema[Configuration] = Field(exclude=True, repr=False)

    def __init__(
        self, *, _env_file: Files = _FROM_CONFIG, _secrets_dir: Files = _FROM_CONFIG, **values: Any
    ) -> None:
        config = self.model_config
        env_file = config.get("env_file") if _env_file is _FROM_CONFIG else _env_file
        secrets_dir = config.get("secrets_dir") if _secrets_dir is _FROM_CONFIG else _secrets_dir
        sources = [*read_sources(values, env_file, secrets_dir), _defaults_of(type(self))]
        try:
            configuration = configured(sources)
        except ConfigurationError:
            values.clear()  # Sentry sends what a frame still holds
            del _env_file, _secrets_dir, env_file, secrets_dir
            raise
        # What pydantic-settings would read is read already, with its origins.
        super().__init__(_env_file=None, **_fields(configuration))

    @model_validator(mode="wrap")
    @classmethod
    def _hide(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Show nothing of what was given where the settings are a field of another model."""
        try:
            return handler(values)
        except ValidationError as error:
            hidden = without_inputs(error)
        del values  # Sentry sends what a frame still holds
        raise hidden

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass of which a part would have no effect."""
        super().__pydantic_init_subclass__(**kwargs)
        if ignored := list(_without_effect(cls)):
            raise TypeError(f"{cls.__name__} cannot change these of ConnectorSettings: {', '.join(ignored)}")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of what can be written, which ``procrastinate-conn schema`` prints too."""
        from procrastinate_conn.schema import settings_schema

        del core_schema, handler
        return settings_schema()

    @field_serializer("pool")
    def _write_pool(self, pool: PoolOptions, info: SerializationInfo) -> object:
        """Write the options as they are read, and not the parts of `PoolOptions`."""
        options = {name: sourced.value for name, sourced in pool.sourced(Origin("call")).items()}
        if pool.null and not options:
            return "null"
        return {k: _written(v) for k, v in options.items()} if info.mode == "json" else options

    @field_serializer("json_dumps", "json_loads", when_used="json")
    def _write_function(self, function: Callable[..., Any] | None) -> str | None:
        return None if function is None else format_value(function)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the settings; what is updated is resolved again, as an argument of the call.

        Raises
        ------
        ConfigurationError
            If anything is wrong with the copy.
        """
        if not update:
            return super().model_copy(deep=deep)
        try:
            configuration = configured([read_call(update), *self.configuration.sources])
        except ConfigurationError:
            del update  # Sentry sends what a frame still holds
            raise
        return super().model_copy(update=_fields(configuration), deep=deep)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show no name of a password file that may be the password itself."""
        for name, value in super().__repr_args__():
            is_unsure = name == "password_file" and value is not None and not is_safe_path(str(value))
            yield name, MASK if is_unsure else value

    def __hash__(self) -> int:
        """Hash what the connector is built from."""
        return hash((self.connector, self.spec()))

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
        return self.configuration.connector_config().spec

    def make_connector(self) -> BaseConnector:
        """Build the connector; nothing is connected to yet."""
        return build(self.configuration)


def _without_effect(cls: type[ConnectorSettings]) -> Iterator[str]:
    """Yield what a subclass changes that is not read by pydantic-settings, and would have no effect."""
    fields = ConnectorSettings.model_fields
    yield from (name for name in cls.model_fields if name not in fields)
    yield from (n for n in fields if n not in _DEFAULTS_THAT_COUNT and _default(cls, n) != _default(None, n))
    for option in SettingsConfigDict.__annotations__.keys() - ConfigDict.__annotations__.keys():
        ours, theirs = (c.model_config.get(option) for c in (ConnectorSettings, cls))
        if option not in ("env_file", "secrets_dir") and ours != theirs:
            yield option


def _defaults_of(cls: type[ConnectorSettings]) -> Source:
    """Return the defaults that a subclass changes, as the farthest place."""
    changed = {n: _default(cls, n) for n in _DEFAULTS_THAT_COUNT if _default(cls, n) != _default(None, n)}
    source = read_call(changed)
    sourced = {
        path: replace(value, origin=Origin("call", f"{cls.__name__}.{value.origin.name}"))
        for path, value in source.settings.items()
    }
    return replace(source, settings=sourced)


def _default(cls: type[ConnectorSettings] | None, name: str) -> Any:
    return (cls or ConnectorSettings).model_fields[name].get_default(call_default_factory=True)


def _written(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else format_value(value)


def _fields(configuration: Configuration) -> dict[str, Any]:
    """Return the fields of the model, which are what the places say, merged and converted."""
    stated = configuration.settings.explicit
    fields: dict[str, Any] = {
        name: stated[name].value for name in ("password_file", "password_command") if name in stated
    }
    dsn = configuration.connection.dsn
    return {
        **fields,
        "dsn": None if dsn is None else SecretStr(dsn.text),
        "connector": configuration.settings.kind,
        "connection": {
            keyword: SecretStr(text) if is_secret(keyword) else text
            for source in reversed(configuration.sources)
            for keyword, sourced in source.section("connection").items()
            if (text := as_text(sourced.value)) is not None
        },
        "pool": configuration.pool,
        "json_dumps": configuration.settings.json_dumps,
        "json_loads": configuration.settings.json_loads,
        "defaults": configuration.settings.defaults,
        "configuration": configuration,
    }
