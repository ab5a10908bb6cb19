"""The settings as a model of pydantic-settings."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    SerializationInfo,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)
from pydantic_settings.sources import DefaultSettingsSource

from procrastinate_conn.configuration import Configuration, configure_or_raise
from procrastinate_conn.connection.spec import ConnectionSpec, hide_inputs
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import CALL, Origin
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.redaction import MASK, format_value, is_safe_path
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.resolution.connection import as_text
from procrastinate_conn.setting_names import DEFAULT_PREFIX, SETTINGS, SettingNames
from procrastinate_conn.settings_sources import DotenvSource, failed, named_files, own_names, read
from procrastinate_conn.sources import DEFAULT_ENV_FILE
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import INVALID_VALUE, UNKNOWN_SETTING, UNREADABLE_SOURCE, Source
from procrastinate_conn.sources.defaults import Defaults
from procrastinate_conn.sources.environment import read_environment
from procrastinate_conn.suggestions import nearest

_Read = TypeVar("_Read")
_Given = TypeVar("_Given")

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

    from procrastinate_conn.passwords import PasswordFunction
    from procrastinate_conn.sources import Files

    class _Setting(Generic[_Read, _Given]):
        """A field that is given as one type and read as another, for the `__init__` of subclasses."""

        def __get__(self, instance: object, owner: Any = None) -> _Read: ...
        def __set__(self, instance: object, value: _Given) -> None: ...

else:

    class _Setting:
        def __class_getitem__(cls, types: tuple[Any, Any]) -> Any:
            return types[0]


def _any(value: object) -> Any:
    """Return a default, which has the type of the field and not of its `_Setting`."""
    return value


_CHANGEABLE_DEFAULTS = ("connector", "pool", "json_dumps", "json_loads", "defaults")
"""The fields that a subclass may give another default. The others belong to the connection, whose sources
are merged keyword by keyword, so that a default has no place between them."""

_REJECTED_CONFIG: Mapping[str, str] = {
    "alias_generator": "the settings have their names from the prefix",
    "enable_decoding": "connection and pool can be written as JSON",
    "dotenv_filtering": "no line of an env file is taken that is no setting",
    "env_prefix_target": "every setting has the prefix, and none has an alias",
    "env_parse_enums": "a connector is named by its value",
    "nested_model_default_partial_update": "the pool's options are merged one by one already",
}
"""The options of ``model_config`` that cannot be honoured, and why."""

_OPTIONS = frozenset(SettingsConfigDict.__annotations__) | {"build_sources", "cli_settings_source"}
"""The options that a call can give with an underscore before them."""

_READERS: Mapping[str, type[PydanticBaseSettingsSource]] = {
    "toml_file": TomlConfigSettingsSource,
    "yaml_file": YamlConfigSettingsSource,
    "json_file": JsonConfigSettingsSource,
}
"""The sources that read the file of an option."""

_NULLABLE = ("env_file", "secrets_dir")
"""The options for which None means none, and not that of the class."""

_nested: ContextVar[bool] = ContextVar("procrastinate_conn_nested", default=False)
"""Whether pydantic builds the settings from a part of another model, instead of a call."""

_constructing: ContextVar[bool] = ContextVar("procrastinate_conn_constructing", default=False)
"""Whether the next validation is that of settings whose sources are read already."""


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

    connector: _Setting[ConnectorKind, ConnectorKind | str] = Field(
        default=_any(ConnectorKind.PSYCOPG), description=SETTINGS["connector"]
    )
    dsn: _Setting[SecretStr | None, SecretStr | str | None] = Field(
        default=_any(None), description=SETTINGS["dsn"]
    )
    connection: _Setting[dict[str, str | SecretStr], Mapping[str, Any]] = Field(
        default=_any({}), description=SETTINGS["connection"]
    )
    pool: _Setting[PoolOptions, PoolOptions | Mapping[str, Any] | str] = Field(
        default=_any(PoolOptions()), description=SETTINGS["pool"]
    )
    listen: _Setting[dict[str, str | SecretStr] | Literal["off"], Mapping[str, Any] | Literal["off"]] = Field(
        default=_any({}), description=SETTINGS["listen"]
    )
    json_dumps: _Setting[Callable[[Any], str] | None, Callable[[Any], str] | str | None] = Field(
        default=_any(None), description=SETTINGS["json_dumps"]
    )
    json_loads: _Setting[Callable[[str], Any] | None, Callable[[str], Any] | str | None] = Field(
        default=_any(None), description=SETTINGS["json_loads"]
    )
    password_file: _Setting[Path | None, Path | str | None] = Field(
        default=_any(None), description=SETTINGS["password_file"]
    )
    password_command: _Setting[SecretStr | None, SecretStr | str | None] = Field(
        default=_any(None), description=SETTINGS["password_command"]
    )
    defaults: _Setting[Defaults, Defaults] = Field(
        default=_any("resilient"), description=SETTINGS["defaults"]
    )
    if TYPE_CHECKING:  # what a subclass can be called with, though it is no field
        password: _Setting[None, SecretStr | str | PasswordFunction | None] = _any(None)
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
        is_nested, is_inner = _nested.get(), _nested.set(False)
        try:
            sources, problems = _read_nested(values) if is_nested else _read_sources(type(self), values)
            configuration, fields = _resolve(sources, problems)
            self._construct(fields, configuration)
            configuration = self._apply_validators(fields, configuration)
        except ConfigurationError:
            values.clear()  # Sentry sends the variables of every frame
            raise
        finally:
            _nested.reset(is_inner)
        self._configuration = configuration

    def _construct(self, fields: dict[str, Any], configuration: Configuration) -> None:
        """Validate the fields, which are read already, so that pydantic-settings has no source to read."""
        token = _constructing.set(True)
        try:
            super(BaseSettings, self).__init__(**fields)
        except ValidationError as error:
            problems = list(_validation_problems(error, configuration))
        else:
            return
        finally:
            _constructing.reset(token)
        raise ConfigurationError([*configuration.problems, *problems])

    def _apply_validators(self, fields: Mapping[str, Any], configuration: Configuration) -> Configuration:
        """Resolve the settings again if validators of a subclass have changed any of them."""
        changed = {n: v for n in SETTINGS if (v := getattr(self, n)) != fields.get(n) and n in fields}
        if not changed:
            return configuration
        return configure_or_raise([_changes(changed, type(self).__name__), *configuration.sources])

    @property
    def configuration(self) -> Configuration:
        """The settings of all sources, resolved."""
        return self._configuration

    @model_validator(mode="wrap")
    @classmethod
    def _hide_inputs(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Hide the inputs in errors, and tell `__init__` whether another model calls it."""
        variable, value = (_constructing, False) if _constructing.get() else (_nested, True)
        token = variable.set(value)
        try:
            validated: Self = hide_inputs(cls, values, handler)
        finally:
            variable.reset(token)
        return validated

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Reject a subclass that changes something that cannot be honoured."""
        super().__pydantic_init_subclass__(**kwargs)
        if rejected := list(_rejected_changes(cls)):
            raise TypeError(f"{cls.__name__} cannot change these of ConnectorSettings: {'; '.join(rejected)}")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema that ``procrastinate-conn schema`` prints, and the fields of a subclass."""
        from procrastinate_conn.schema import VARIABLE, settings_schema

        config = cls.model_config
        names = SettingNames(
            config.get("env_prefix", ""),
            config.get("env_nested_delimiter"),
            case_sensitive=bool(config.get("case_sensitive")),
        )
        schema = settings_schema(names)
        for name, field in _field_schemas(core_schema).items():
            if name not in SETTINGS:
                schema["properties"][name] = {**handler(field), VARIABLE: names.variable((name,))}
        return schema

    @field_serializer("pool")
    def _write_pool(self, pool: PoolOptions, info: SerializationInfo) -> object:
        """Write the options as they are read, not as fields of `PoolOptions`."""
        options = pool.explicit
        if pool.null and not options:
            return "null"
        return {k: _as_json(v) for k, v in options.items()} if info.mode == "json" else dict(options)

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
            call = read_call(update, own_names(type(self)))
            configuration, fields = _resolve([call, *self.configuration.sources])
            copy = super().model_copy(deep=deep)
            copy._construct(fields, configuration)  # noqa: SLF001 - of the same class
        except ConfigurationError:
            del update  # Sentry sends the variables of every frame
            raise
        copy._configuration = configuration  # noqa: SLF001
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


def _rejected_changes(cls: type[ConnectorSettings]) -> Iterator[str]:
    """Yield the fields and config options that cannot be honoured in a subclass, each with the reason."""
    for name, field in ConnectorSettings.model_fields.items():
        if cls.model_fields[name].validation_alias != field.validation_alias:
            yield f"{name}: its variable has the prefix, and no alias"
        elif name not in _CHANGEABLE_DEFAULTS and _default(cls, name) != _default(None, name):
            yield f"{name}: the connection is merged by keyword, and no default is one of its sources"
    for option, reason in _REJECTED_CONFIG.items():
        if cls.model_config.get(option) != ConnectorSettings.model_config.get(option):
            yield f"{option}: {reason}"
    if cls.model_config.get("extra") == "allow":
        yield "extra: a name that is no setting would be a misspelt one"
    if not cls.model_config.get("frozen"):
        yield "frozen: the settings are resolved together, once"


def _read_sources(
    cls: type[ConnectorSettings], arguments: dict[str, Any]
) -> tuple[list[Source], list[Problem]]:
    """Read the sources that the class returns, in their order, by the options of pydantic-settings."""
    given = {name[1:]: arguments.pop(name) for name in list(arguments) if name.startswith("_")}
    problems = [_unknown_option(name) for name in given.keys() - _OPTIONS]
    options = {**cls.model_config, **{n: v for n, v in given.items() if v is not None or n in _NULLABLE}}
    if (built := given.get("build_sources")) is not None:
        chosen: Iterable[PydanticBaseSettingsSource] = built[0]
    else:
        try:
            chosen = _with_command_line(cls, options, _customised(cls, options, arguments))
        except Exception as error:  # noqa: BLE001 - whatever a hook of the application's raises
            problems.append(_hook_failed(cls, error))
            chosen = _built_in(cls, options, arguments).values()
    chosen = [source for source in chosen if not isinstance(source, DefaultSettingsSource)]
    if not problems:
        problems += _unread_files(options, chosen)
    sources = [found for source in chosen for found in read(source)]
    return [*sources, _defaults_of(cls)], problems


def _customised(
    cls: type[ConnectorSettings], options: Mapping[str, Any], arguments: dict[str, Any]
) -> tuple[PydanticBaseSettingsSource, ...]:
    return cls.settings_customise_sources(cls, **_built_in(cls, options, arguments))


def _built_in(
    cls: type[ConnectorSettings], options: Mapping[str, Any], arguments: dict[str, Any]
) -> dict[str, PydanticBaseSettingsSource]:
    variables = {name: options.get(name) for name in ("case_sensitive", "env_prefix", "env_ignore_empty")}
    variables["env_parse_none_str"] = options.get("env_parse_none_str")
    names = ("env_nested_delimiter", "env_nested_max_split")
    nested = {name: options[name] for name in names if name in options}
    files = {name: options[name] for name in ("env_file_encoding", "env_file_depth") if name in options}
    secrets = SecretsSettingsSource(cls, **variables)
    secrets.secrets_dir = options.get("secrets_dir")  # as an argument, None would mean that of the class
    return {
        "init_settings": InitSettingsSource(cls, init_kwargs=arguments),
        "env_settings": EnvSettingsSource(cls, **variables, **nested),
        "dotenv_settings": DotenvSource(
            cls, env_file=options.get("env_file"), **variables, **nested, **files
        ),
        "file_secret_settings": secrets,
    }


def _with_command_line(
    cls: type[ConnectorSettings],
    options: Mapping[str, Any],
    sources: Sequence[PydanticBaseSettingsSource],
) -> Sequence[PydanticBaseSettingsSource]:
    """Put the command line in front, if ``cli_parse_args`` asks for it and no source is one already."""
    parse = options.get("cli_parse_args")
    command_line = next((source for source in sources if isinstance(source, CliSettingsSource)), None)
    if command_line is not None:
        if parse not in (None, False) and not command_line.env_vars:
            command_line(args=parse)
        return sources
    if isinstance(given := options.get("cli_settings_source"), CliSettingsSource):
        return [given, *sources]
    if parse in (None, False):
        return sources
    cli = {name: value for name, value in options.items() if name.startswith("cli_")}
    source: CliSettingsSource[Any] = CliSettingsSource(cls, **cli)
    return [source, *sources]


def _unread_files(
    options: Mapping[str, Any], sources: Sequence[PydanticBaseSettingsSource]
) -> Iterator[Problem]:
    """Report a file in the class's config that no source reads."""
    for option, reader in _READERS.items():
        if options.get(option) is not None and not any(isinstance(source, reader) for source in sources):
            message = f"{option} is set, and no {reader.__name__} reads it"
            hint = f"return {reader.__name__}(settings_cls) from settings_customise_sources"
            yield UNREADABLE_SOURCE(option, message, hint=hint, origin=Origin("call", option))


def _unknown_option(name: str) -> Problem:
    near = nearest(name, _OPTIONS)
    hint = f"did you mean _{near}?" if near else "see the options of pydantic-settings"
    return UNKNOWN_SETTING(
        f"_{name}", f"no option is called _{name}", hint=hint, origin=Origin("call", f"_{name}")
    )


def _hook_failed(cls: type[ConnectorSettings], error: Exception) -> Problem:
    """Report the exception of `settings_customise_sources`, with the source in which it was raised."""
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    source = next((one for one in frames if isinstance(one, PydanticBaseSettingsSource)), None)
    if source is None:
        return failed(error, f"{cls.__name__}.settings_customise_sources", ())
    return failed(error, type(source).__name__, named_files(source))


def _read_nested(values: Mapping[str, Any]) -> tuple[list[Source], list[Problem]]:
    """Read what another model gives, and libpq's variables of the process: nothing else strays in."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    return [read_call(values), read_environment(environment)], []


def _resolve(
    sources: Sequence[Source], problems: Sequence[Problem] = ()
) -> tuple[Configuration, dict[str, Any]]:
    """Resolve the sources; return the configuration and the fields of the model."""
    if problems:
        sources = [Source(CALL, problems=tuple(problems)), *sources]
    configuration = configure_or_raise(sources)
    return configuration, {**_own_fields(sources), **_fields(configuration)}


def _own_fields(sources: Sequence[Source]) -> dict[str, Any]:
    """Return the fields of the application's own: of the first source that sets one; mappings are merged."""
    fields: dict[str, Any] = {}
    for source in reversed(sources):
        for name, sourced in source.fields.items():
            fields[name] = _merged(fields.get(name), sourced.value)
    return fields


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{name: _merged(below.get(name), value) for name, value in above.items()}}
    return above


def _validation_problems(error: ValidationError, configuration: Configuration) -> Iterator[Problem]:
    """Report what pydantic and the validators of a subclass find wrong, each with its origin."""
    for line in error.errors():
        setting = ".".join(map(str, line["loc"])) or "settings"
        cause = line.get("ctx", {}).get("error")
        if isinstance(cause, ConfigurationError):  # of settings that are a field of these
            yield from cause.problems
            continue
        origin = _origin_of(str(line["loc"][0]), configuration) if line["loc"] else None
        message = f"{setting}: {line['msg'][:1].lower()}{line['msg'][1:]}"
        yield INVALID_VALUE(setting, message, hint="write a value that its type allows", origin=origin)


def _origin_of(name: str, configuration: Configuration) -> Origin | None:
    for source in configuration.sources:
        if name in source.fields:
            return source.fields[name].origin
        if (name,) in source.settings:
            return source.settings[(name,)].origin
    return None


def _changes(changed: Mapping[str, Any], cls: str) -> Source:
    source = read_call(changed)
    return replace(
        source,
        settings={
            path: replace(value, origin=Origin("call", f"{cls}.{value.origin.name}"))
            for path, value in source.settings.items()
        },
    )


def _defaults_of(cls: type[ConnectorSettings]) -> Source:
    """Return the defaults that a subclass changes, as the source of lowest precedence."""
    changed = {n: _default(cls, n) for n in _CHANGEABLE_DEFAULTS if _default(cls, n) != _default(None, n)}
    return _changes(changed, cls.__name__)


def _default(cls: type[ConnectorSettings] | None, name: str) -> Any:
    return (cls or ConnectorSettings).model_fields[name].get_default(call_default_factory=True)


def _as_json(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else format_value(value)


def _fields(configuration: Configuration) -> dict[str, Any]:
    """Return the fields of the model: the settings of all sources, merged and converted."""
    explicit = configuration.settings.explicit
    fields: dict[str, Any] = {}
    if "password_file" in explicit:
        fields["password_file"] = Path(str(explicit["password_file"].value))
    if "password_command" in explicit:
        fields["password_command"] = SecretStr(str(explicit["password_command"].value))
    dsn = configuration.connection.dsn
    return {
        **fields,
        "dsn": None if dsn is None else SecretStr(dsn.text),
        "connector": configuration.settings.kind,
        "connection": _keywords(configuration, "connection"),
        "listen": "off" if configuration.listen.is_off else _keywords(configuration, "listen"),
        "pool": configuration.pool,
        "json_dumps": configuration.settings.json_dumps,
        "json_loads": configuration.settings.json_loads,
        "defaults": configuration.settings.defaults,
    }


def _keywords(configuration: Configuration, section: str) -> dict[str, str | SecretStr]:
    return {
        keyword: SecretStr(text) if keyword == "dsn" or is_secret(keyword) else text
        for source in reversed(configuration.sources)
        for keyword, sourced in source.section(section).items()
        if (text := as_text(sourced.value)) is not None
    }
