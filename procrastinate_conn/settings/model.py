"""The settings as a model of pydantic-settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    SecretStr,
    SerializationInfo,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from procrastinate_conn.configuration import Configuration, configure_and_log, configure_or_raise
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.drivers import require_libpq
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.redaction import MASK, format_value, is_safe_path
from procrastinate_conn.redaction.validation_errors import hide_inputs
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.setting_names import DEFAULT_PREFIX, SETTINGS
from procrastinate_conn.settings.fields import ResolvedFields, resolved_fields, validation_problems
from procrastinate_conn.settings.reading import UnnamedSource, read_nested, read_sources
from procrastinate_conn.settings.subclasses import (
    aliases,
    changed_defaults,
    changes,
    class_names,
    own_fields,
    rejected_changes,
)
from procrastinate_conn.sources import DEFAULT_ENV_FILE, SOURCES
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.defaults import Defaults

_Read = TypeVar("_Read")
_Given = TypeVar("_Given")

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

    from procrastinate_conn.passwords import PasswordFunction
    from procrastinate_conn.sources.base import Files

    class _Setting(Generic[_Read, _Given]):
        """A field that is given as one type and read as another, for the `__init__` of subclasses."""

        def __get__(self, instance: object, owner: Any = None) -> _Read: ...
        def __set__(self, instance: object, value: _Given) -> None: ...

else:

    class _Setting:
        def __class_getitem__(cls, types: tuple[Any, Any]) -> Any:
            return types[0]


def _setting(name: str, default: object = None) -> Any:
    """Return a field, which has the type of its `_Setting`, and not of the default."""
    return Field(default=default, description=SETTINGS[name])


_nested: ContextVar[bool] = ContextVar("procrastinate_conn_nested", default=False)
"""Whether pydantic builds the settings from a part of another model, instead of a call."""

_resolving: ContextVar[tuple[object, ResolvedFields, Configuration] | None] = ContextVar(
    "procrastinate_conn_resolving", default=None
)
"""The settings that are being validated, with the fields and the configuration that their sources come to."""


class ConnectorSettings(BaseSettings):
    """Everything that describes a connector, read from all its sources: a model of pydantic-settings.

    They are, by precedence: the arguments, and what `settings_customise_sources` returns: by default the
    process environment, the env files, the secrets directories; then ``DATABASE_URL``, the service file,
    libpq's own variables and the defaults. As a part of another model, the settings are what that model
    gives, the service file, libpq's variables in the process environment, and the defaults.

    A subclass may set the options of ``model_config``, return other sources from
    `settings_customise_sources`, add fields and validators of its own, and change the defaults of connector,
    pool, json_dumps, json_loads and defaults; anything else is a TypeError.

    Parameters
    ----------
    **values
        The fields below, and ``password``, text or a function; with an underscore before it any option of
        pydantic-settings: ``_env_prefix``, ``_env_file``, ``_secrets_dir``, ...

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

    connector: _Setting[ConnectorKind, ConnectorKind | str] = _setting("connector", ConnectorKind.PSYCOPG)
    dsn: _Setting[SecretStr | None, SecretStr | str | None] = _setting("dsn")
    connection: _Setting[dict[str, str | SecretStr], Mapping[str, Any]] = _setting("connection", {})
    pool: _Setting[PoolOptions, PoolOptions | Mapping[str, Any] | str] = _setting("pool", PoolOptions())
    listen: _Setting[dict[str, str | SecretStr] | Literal["off"], Mapping[str, Any] | Literal["off"]] = (
        _setting("listen", {})
    )
    json_dumps: _Setting[Callable[[Any], str | bytes] | None, Callable[[Any], str | bytes] | str | None] = (
        _setting("json_dumps")
    )
    json_loads: _Setting[Callable[[str], Any] | None, Callable[[str], Any] | str | None] = _setting(
        "json_loads"
    )
    password_file: _Setting[Path | None, Path | str | None] = _setting("password_file")
    password_command: _Setting[SecretStr | None, SecretStr | str | None] = _setting("password_command")
    defaults: _Setting[Defaults, Defaults] = _setting("defaults", "resilient")
    if TYPE_CHECKING:  # what a subclass can be called with, though it is no field
        password: _Setting[None, SecretStr | str | PasswordFunction | None] = _setting("password")
        _env_prefix: str | None = None
        _env_file: Files = None
        _env_file_encoding: str | None = None
        _env_nested_delimiter: str | None = None
        _env_ignore_empty: bool | None = None
        _env_parse_none_str: str | None = None
        _case_sensitive: bool | None = None
        _cli_parse_args: bool | list[str] | tuple[str, ...] | None = None
        _secrets_dir: Files = None
    _configuration: Configuration = PrivateAttr()

    def __init__(self, **values: Any) -> None:
        cls, is_nested, is_inner = type(self), _nested.get(), _nested.set(False)
        try:
            require_libpq()
            sources = read_nested(cls, values) if is_nested else read_sources(cls, values)
            self._resolve([*sources, changed_defaults(cls, ConnectorSettings)])
        except ConfigurationError:
            values.clear()  # Sentry sends the variables of every frame
            raise
        finally:
            _nested.reset(is_inner)

    def _resolve(self, sources: Sequence[Source]) -> None:
        configuration = configure_and_log(sources)
        fields, problems = resolved_fields(configuration), configuration.problems
        token = _resolving.set((self, fields, configuration))
        try:
            validate = self.__pydantic_validator__.validate_python
            hide_inputs(type(self), fields, partial(validate, self_instance=self))
        except ValidationError as error:
            problems += tuple(validation_problems(error, configuration, type(self)))
        except Exception:  # what else a validator raises follows from settings with errors, if there are any
            if not configuration.errors:
                raise
        else:
            if not configuration.errors:
                return
        finally:
            _resolving.reset(token)
        del fields  # Sentry sends the variables of every frame
        raise ConfigurationError(dict.fromkeys(problems))

    @property
    def configuration(self) -> Configuration:
        """The settings of all sources, resolved."""
        configuration: Configuration | None = (self.__pydantic_private__ or {}).get("_configuration")
        if configuration is not None:
            return configuration
        resolving = _resolving.get()
        if resolving is None or resolving[0] is not self:
            raise TypeError("model_construct() reads and resolves nothing: call the class instead")
        _, fields, configuration = resolving
        values = {name: getattr(self, name) for name in SETTINGS if name in fields}
        if changed := {name: value for name, value in values.items() if value != fields[name]}:
            return configure_or_raise([changes(changed, type(self)), *configuration.sources])
        return configuration

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by precedence; a subclass may return others, and in another order."""
        given = {
            "init_settings": init_settings,
            "env_settings": env_settings,
            "dotenv_settings": dotenv_settings,
            "file_secret_settings": file_secret_settings,
        }
        return tuple(given.get(name) or UnnamedSource(settings_cls, dict, name) for name in SOURCES)

    @field_validator("pool", mode="before")
    @classmethod
    def _read_pool(cls, pool: Any) -> Any:
        """Take what the validator of a subclass returns as a call takes it."""
        if pool == "null":
            return PoolOptions(null=True)
        return PoolOptions(pool) if isinstance(pool, Mapping) else pool

    @model_validator(mode="after")
    def _set_configuration(self) -> Self:
        """Set the configuration, with what validators of fields changed, before a subclass's own run."""
        resolving = _resolving.get()
        if resolving is not None and resolving[0] is self:  # not settings that were built before
            self._configuration = self.configuration
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Hide the inputs in errors, and tell `__init__` whether another model calls it."""
        token = _nested.set(not isinstance(values, ResolvedFields))
        try:
            validated: Self = hide_inputs(cls, values, handler)
        finally:
            _nested.reset(token)
        return validated

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Reject a subclass that changes something that cannot be honoured."""
        super().__pydantic_init_subclass__(**kwargs)
        if rejected := list(rejected_changes(cls, ConnectorSettings)):
            raise TypeError(f"{cls.__name__} cannot change these of ConnectorSettings: {'; '.join(rejected)}")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema that ``procrastinate-conn schema`` prints, and the fields of a subclass."""
        from procrastinate_conn.schema import VARIABLE, settings_schema

        names, fields, inner = class_names(cls), own_fields(cls), _field_schemas(core_schema)
        schemas = {
            name: {
                VARIABLE: next(aliases(field), names.variable((name,))),
                **{key: value for key in ("title", "description") if (value := getattr(field, key))},
                **handler(inner[name]),
            }
            for name, field in fields.items()
        }
        required = [name for name, field in fields.items() if field.is_required()]
        return settings_schema(names, schemas, required)

    @field_serializer("pool")
    def _write_pool(self, pool: PoolOptions, info: SerializationInfo) -> object:
        """Write the options as they are read, not as fields of `PoolOptions`."""
        options = pool.explicit
        if pool.null and not options:
            return "null"
        if info.mode != "json":
            return dict(options)
        plain = int | float | str | None
        return {k: v if isinstance(v, plain) else format_value(v) for k, v in options.items()}

    @field_serializer("json_dumps", "json_loads", when_used="json")
    def _write_function(self, function: Callable[..., Any] | None) -> str | None:
        return None if function is None else format_value(function)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the settings; an update is resolved again, as arguments of the call."""
        if not update:
            return super().model_copy(deep=deep)
        try:
            sources = [read_call(update, class_names(type(self)).own), *self.configuration.sources]
            copy = super().model_copy(deep=deep)
            del copy._configuration  # noqa: SLF001 - of the same class
            copy._resolve(sources)  # noqa: SLF001
        except ConfigurationError:
            del update  # Sentry sends the variables of every frame
            raise
        return copy

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Mask a password file whose name may be the password itself."""
        for name, value in super().__repr_args__():
            is_unsure = name == "password_file" and value is not None and not is_safe_path(str(value))
            yield name, MASK if is_unsure else value

    def __hash__(self) -> int:
        """Hash the configuration of the connector."""
        return hash((self.connector, self.spec()))

    def spec(self) -> ConnectionSpec:
        """Return the connection as libpq reads it."""
        return self.configuration.connector_config().spec

    def make_connector(self) -> BaseConnector:
        """Build the connector, without connecting it."""
        return self.configuration.build_connector()


def _field_schemas(schema: Any) -> dict[str, CoreSchema]:
    """Return the schemas of a model's fields, which are inside those of its validators."""
    while schema["type"] != "model-fields":
        schema = schema["schema"]
    return {name: field["schema"] for name, field in schema["fields"].items()}
