"""Which sources of pydantic-settings are read, by the options of the class and of the call."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

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

from procrastinate_conn.origins import CALL, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.settings.reading import (
    DotenvSource,
    FunctionSource,
    failed,
    named_files,
    read_all,
)
from procrastinate_conn.settings.subclasses import class_names
from procrastinate_conn.similarity import nearest
from procrastinate_conn.sources.arguments import read_call, with_null_pool
from procrastinate_conn.sources.base import UNKNOWN_SETTING, UNREADABLE_SOURCE, Source
from procrastinate_conn.sources.variables import read_libpq_variables

_OPTIONS = frozenset(SettingsConfigDict.__annotations__) | {"build_sources", "cli_settings_source"}
"""The options that a call can give with an underscore before them."""

_NULLABLE = ("env_file", "secrets_dir")  # for these None means none, and not that of the class

_READERS: Mapping[str, type[PydanticBaseSettingsSource]] = {
    "toml_file": TomlConfigSettingsSource,
    "yaml_file": YamlConfigSettingsSource,
    "json_file": JsonConfigSettingsSource,
}
"""The sources that read the file of an option."""


def read_sources(cls: type[BaseSettings], arguments: dict[str, Any]) -> list[Source]:
    """Read the sources that a class returns, by precedence, with its options and those of the call."""
    given = {name[1:]: arguments.pop(name) for name in list(arguments) if name.startswith("_")}
    options = {**cls.model_config, **{n: v for n, v in given.items() if v is not None or n in _NULLABLE}}
    problems = [_unknown_option(name) for name in given.keys() - _OPTIONS]
    chosen: Iterable[object]
    if (built := given.get("build_sources")) is not None:
        chosen = built[0]
    else:
        built_in = _built_in(cls, options, arguments)
        try:
            chosen = _with_command_line(cls, options, cls.settings_customise_sources(cls, **built_in))
        except Exception as error:  # noqa: BLE001 - whatever a hook of the application's raises
            problems.append(_hook_failed(cls, error))
            chosen = built_in.values()
    sources: list[PydanticBaseSettingsSource] = []
    for source in chosen:
        if isinstance(source, PydanticBaseSettingsSource):
            sources.append(source)
        elif callable(source) and not isinstance(source, type):
            sources.append(FunctionSource(cls, source))
        else:
            problems.append(_wrong_source(cls, source))
    if not problems:
        problems += _unread_files(options, sources)
    return [Source(CALL, problems=tuple(problems)), *read_all(sources)]


def read_nested(cls: type[BaseSettings], values: Mapping[str, Any]) -> list[Source]:
    """Read what another model gives, and libpq's variables of the process: nothing else strays in."""
    return [read_call(with_null_pool(values), class_names(cls).own), read_libpq_variables()]


def _built_in(
    cls: type[BaseSettings], options: Mapping[str, Any], arguments: dict[str, Any]
) -> dict[str, PydanticBaseSettingsSource]:
    """Return the sources of pydantic-settings, by the names that the hook has for them."""

    def chosen(*names: str) -> dict[str, Any]:  # an older pydantic-settings has fewer options
        return {name: options[name] for name in names if name in options}

    variables = chosen("case_sensitive", "env_prefix", "env_ignore_empty", "env_parse_none_str")
    nested = chosen("env_nested_delimiter", "env_nested_max_split")
    files = chosen("env_file_encoding", "env_file_depth")
    secrets = SecretsSettingsSource(cls, **variables)
    secrets.secrets_dir = options.get("secrets_dir")  # as an argument, None would mean that of the class
    return {
        "init_settings": InitSettingsSource(cls, init_kwargs=arguments),
        "env_settings": EnvSettingsSource(cls, **variables, **nested),
        "dotenv_settings": DotenvSource(cls, options.get("env_file"), **variables, **nested, **files),
        "file_secret_settings": secrets,
    }


def _with_command_line(
    cls: type[BaseSettings], options: Mapping[str, Any], sources: Sequence[PydanticBaseSettingsSource]
) -> Sequence[PydanticBaseSettingsSource]:
    """Put the command line in front, if ``cli_parse_args`` asks for it and no source is one already."""
    arguments: Any = options.get("cli_parse_args")
    is_wanted = arguments not in (None, False)
    command_line = next((source for source in sources if isinstance(source, CliSettingsSource)), None)
    if command_line is not None:
        if is_wanted and not command_line.env_vars:
            command_line(args=arguments)
        return sources
    given = options.get("cli_settings_source")
    if not isinstance(given, CliSettingsSource):
        if not is_wanted:
            return sources
        known = signature(CliSettingsSource).parameters  # an older pydantic-settings has fewer options
        cli = {name: value for name, value in options.items() if name.startswith("cli_") and name in known}
        given = CliSettingsSource(cls, **cli)
    return [given, *sources]


def _unread_files(
    options: Mapping[str, Any], sources: Sequence[PydanticBaseSettingsSource]
) -> Iterator[Problem]:
    for option, reader in _READERS.items():
        if options.get(option) is not None and not any(isinstance(source, reader) for source in sources):
            message = f"{option} is set, and no {reader.__name__} reads it"
            hint = f"return {reader.__name__}(settings_cls) from settings_customise_sources"
            yield UNREADABLE_SOURCE(option, message, hint=hint, origin=Origin("call", option))


def _unknown_option(name: str) -> Problem:
    option, near = f"_{name}", nearest(name, _OPTIONS)
    hint = f"did you mean _{near}?" if near else "see the options of pydantic-settings"
    origin = Origin("call", option)
    return UNKNOWN_SETTING(option, f"no option is called {option}", hint=hint, origin=origin)


def _wrong_source(cls: type[BaseSettings], source: object) -> Problem:
    is_class, name = isinstance(source, type), f"{cls.__name__}.settings_customise_sources"
    returned = getattr(source, "__name__", type(source).__name__)
    message = f"{name} returned {returned}, which is no source"
    hint = f"write {returned}(settings_cls)" if is_class else "return sources, or functions without arguments"
    return UNREADABLE_SOURCE(name, message, hint=hint, origin=Origin(name))


def _hook_failed(cls: type[BaseSettings], error: Exception) -> Problem:
    """Report the exception of `settings_customise_sources`, with the source in which it was raised."""
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    source = next((one for one in frames if isinstance(one, PydanticBaseSettingsSource)), None)
    if source is None:
        return failed(error, f"{cls.__name__}.settings_customise_sources", ())
    return failed(error, type(source).__name__, named_files(source))
