"""The settings as a model of pydantic-settings."""

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
    field_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from procrastinate_conn.configuration import Configuration, configure_or_raise
from procrastinate_conn.connection.spec import ConnectionSpec, hide_inputs
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.redaction import MASK, format_value, is_safe_path
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.resolution.connection import as_text
from procrastinate_conn.setting_names import DEFAULT_PREFIX, SETTINGS, SettingNames
from procrastinate_conn.sources import DEFAULT_ENV_FILE, Files, read_sources
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.defaults import Defaults

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

_FROM_CONFIG: Any = object()

_CHANGEABLE_DEFAULTS = ("connector", "pool", "json_dumps", "json_loads", "defaults")
"""The fields that a subclass may give another default. The others belong to the connection, whose sources
are merged keyword by keyword, so that a default has no place between them."""


class ConnectorSettings(BaseSettings):
    """Everything that describes a connector, read from all its sources.

    They are, by precedence: the arguments, the process environment, the env files, the secrets directories;
    then ``DATABASE_URL``, the service file, libpq's own variables and the defaults.

    A subclass may name another ``env_prefix``, ``env_file`` and ``secrets_dir`` in its ``model_config``, and
    other defaults
    of connector, pool, json_dumps, json_loads and defaults; anything else that it changes is a TypeError.

    Parameters
    ----------
    _env_prefix
        What the names of the variables begin with; by default that of the class's config.
    _env_file
        An env file, several (a later one overrides), or None; by default ``.env``, which may be absent.
    _secrets_dir
        A secrets directory, several (a later one overrides), or None; by default none.
    **values
        The fields below, and ``password``, text or a function.

    Raises
    ------
    ConfigurationError
        If anything is wrong, with all of it.
    """

    model_config = SettingsConfigDict(
        env_prefix=DEFAULT_PREFIX,
        env_nested_delimiter="__",
        env_file=DEFAULT_ENV_FILE,
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    connector: ConnectorKind = Field(ConnectorKind.PSYCOPG, description=SETTINGS["connector"])
    dsn: SecretStr | None = Field(None, description=SETTINGS["dsn"])
    connection: dict[str, str | SecretStr] = Field(default_factory=dict, description=SETTINGS["connection"])
    pool: PoolOptions = Field(default_factory=PoolOptions, description=SETTINGS["pool"])
    json_dumps: Callable[[Any], str] | None = Field(None, description=SETTINGS["json_dumps"])
    json_loads: Callable[[str], Any] | None = Field(None, description=SETTINGS["json_loads"])
    password_file: Path | None = Field(None, description=SETTINGS["password_file"])
    password_command: SecretStr | None = Field(None, description=SETTINGS["password_command"])
    defaults: Defaults = Field("resilient", description=SETTINGS["defaults"])
    configuration: SkipJsonSchema[Configuration] = Field(exclude=True, repr=False)

    def __init__(
        self,
        *,
        _env_prefix: str | None = None,
        _env_file: Files = _FROM_CONFIG,
        _secrets_dir: Files = _FROM_CONFIG,
        **values: Any,
    ) -> None:
        config = self.model_config
        env_file = config.get("env_file") if _env_file is _FROM_CONFIG else _env_file
        secrets_dir = config.get("secrets_dir") if _secrets_dir is _FROM_CONFIG else _secrets_dir
        names = SettingNames(config.get("env_prefix", "") if _env_prefix is None else _env_prefix)
        sources = [*read_sources(values, env_file, secrets_dir, names=names), _defaults_of(type(self))]
        try:
            configuration = configure_or_raise(sources)
        except ConfigurationError:
            values.clear()  # Sentry sends the variables of every frame
            del _env_file, _secrets_dir, env_file, secrets_dir
            raise
        # The sources are read already, with their origins, so pydantic-settings has none to read.
        super().__init__(_env_file=None, **_fields(configuration))

    _hide_inputs = model_validator(mode="wrap")(hide_inputs)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Reject a subclass that changes something without effect."""
        super().__pydantic_init_subclass__(**kwargs)
        if ignored := list(_ineffective_changes(cls)):
            raise TypeError(f"{cls.__name__} cannot change these of ConnectorSettings: {', '.join(ignored)}")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema that ``procrastinate-conn schema`` prints."""
        from procrastinate_conn.schema import settings_schema

        del core_schema, handler
        return settings_schema()

    @field_serializer("pool")
    def _write_pool(self, pool: PoolOptions, info: SerializationInfo) -> object:
        """Write the options as they are read, not as fields of `PoolOptions`."""
        options = {name: sourced.value for name, sourced in pool.sourced(Origin("call")).items()}
        if pool.null and not options:
            return "null"
        return {k: _as_json(v) for k, v in options.items()} if info.mode == "json" else options

    @field_serializer("json_dumps", "json_loads", when_used="json")
    def _write_function(self, function: Callable[..., Any] | None) -> str | None:
        return None if function is None else format_value(function)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the settings; an update is resolved again, as arguments of the call.

        Raises
        ------
        ConfigurationError
            If anything is wrong with the copy.
        """
        if not update:
            return super().model_copy(deep=deep)
        try:
            configuration = configure_or_raise([read_call(update), *self.configuration.sources])
        except ConfigurationError:
            del update  # Sentry sends the variables of every frame
            raise
        return super().model_copy(update=_fields(configuration), deep=deep)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Mask a password file whose name may be the password itself."""
        for name, value in super().__repr_args__():
            is_unsure = name == "password_file" and value is not None and not is_safe_path(str(value))
            yield name, MASK if is_unsure else value

    def __hash__(self) -> int:
        """Hash the configuration of the connector."""
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
        """Take the fields as they are resolved, and read no source again."""
        return (init_settings,)

    def spec(self) -> ConnectionSpec:
        """Return the connection as libpq reads it."""
        return self.configuration.connector_config().spec

    def make_connector(self) -> BaseConnector:
        """Build the connector, without connecting it."""
        return self.configuration.build_connector()


def _ineffective_changes(cls: type[ConnectorSettings]) -> Iterator[str]:
    """Yield the fields and config options that a subclass changes without effect."""
    fields = ConnectorSettings.model_fields
    yield from (name for name in cls.model_fields if name not in fields)
    yield from (n for n in fields if n not in _CHANGEABLE_DEFAULTS and _default(cls, n) != _default(None, n))
    for option in SettingsConfigDict.__annotations__.keys() - ConfigDict.__annotations__.keys():
        ours, theirs = (c.model_config.get(option) for c in (ConnectorSettings, cls))
        if option not in ("env_file", "env_prefix", "secrets_dir") and ours != theirs:
            yield option


def _defaults_of(cls: type[ConnectorSettings]) -> Source:
    """Return the defaults that a subclass changes, as the source of lowest precedence."""
    changed = {n: _default(cls, n) for n in _CHANGEABLE_DEFAULTS if _default(cls, n) != _default(None, n)}
    source = read_call(changed)
    sourced = {
        path: replace(value, origin=Origin("call", f"{cls.__name__}.{value.origin.name}"))
        for path, value in source.settings.items()
    }
    return replace(source, settings=sourced)


def _default(cls: type[ConnectorSettings] | None, name: str) -> Any:
    return (cls or ConnectorSettings).model_fields[name].get_default(call_default_factory=True)


def _as_json(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else format_value(value)


def _fields(configuration: Configuration) -> dict[str, Any]:
    """Return the fields of the model: the settings of all sources, merged and converted."""
    explicit = configuration.settings.explicit
    fields: dict[str, Any] = {
        name: explicit[name].value for name in ("password_file", "password_command") if name in explicit
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
