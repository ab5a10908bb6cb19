"""Reads the sources of a class of settings: those that are ours with lines, any other by calling it."""

from __future__ import annotations

import codecs
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from procrastinate_conn import suggestions
from procrastinate_conn.origins import CALL, Origin, SourcedValue, SourceKind
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import redact
from procrastinate_conn.setting_names import SECTIONS, SettingNames, SettingPath
from procrastinate_conn.settings.fields import merged
from procrastinate_conn.settings.subclasses import class_names, decode_fields, known_options, source_names
from procrastinate_conn.similarity import nearest
from procrastinate_conn.sources import SOURCES
from procrastinate_conn.sources.arguments import read_call, read_mapping, with_null_pool
from procrastinate_conn.sources.base import (
    INVALID_VALUE,
    UNKNOWN_SETTING,
    UNREADABLE_FILE,
    UNREADABLE_SOURCE,
    Source,
    SourceOptions,
)
from procrastinate_conn.sources.lines import find_line
from procrastinate_conn.sources.variables import read_libpq_variables, read_variables
from procrastinate_conn.tracebacks import raised_at

_OPTIONS = frozenset(SettingsConfigDict.__annotations__) | {"build_sources", "cli_settings_source"}
"""The options that a call can give with an underscore before them."""

_NULLABLE = ("env_file", "secrets_dir")  # for these None means none, and not that of the class

_READERS: Mapping[str, type[PydanticBaseSettingsSource]] = {
    "toml_file": TomlConfigSettingsSource,
    "yaml_file": YamlConfigSettingsSource,
    "json_file": JsonConfigSettingsSource,
}
"""The sources that read the file of an option."""


class DotenvSource(DotEnvSettingsSource):
    """An env file that is not read before it is asked for, so that a malformed one is a problem."""

    def __init__(self, settings_cls: type[BaseSettings], env_file: Any, **options: Any) -> None:
        super().__init__(settings_cls, env_file=None, **options)
        self.env_file = env_file
        self._options = options

    def __call__(self) -> dict[str, Any]:
        """Read the files as pydantic-settings does, for a source that wraps this one."""
        return DotEnvSettingsSource(self.settings_cls, env_file=self.env_file, **self._options)()


class FunctionSource(PydanticBaseSettingsSource):
    """A plain function of the application's, which pydantic-settings takes as a source, too."""

    def __init__(
        self, settings_cls: type[BaseSettings], function: Callable[[], dict[str, Any]], name: str
    ) -> None:
        super().__init__(settings_cls)
        self.function = function
        self.name = name

    def get_field_value(self, _field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Return no value: the source is read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Call the function."""
        return self.function()


class UnnamedSource(FunctionSource):
    """A source of ours that pydantic-settings does not have, by the name that `SOURCES` has for it."""


_NAMES: Mapping[type[PydanticBaseSettingsSource], str] = {
    InitSettingsSource: "init_settings",
    EnvSettingsSource: "env_settings",
    DotEnvSettingsSource: "dotenv_settings",
    DotenvSource: "dotenv_settings",
    SecretsSettingsSource: "file_secret_settings",
}
"""The classes of pydantic-settings that are sources of ours; not their subclasses, which may do anything."""


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
            sources.append(FunctionSource(cls, source, getattr(source, "__name__", type(source).__name__)))
        else:
            problems.append(_wrong_source(cls, source))
    if not problems:
        problems += _unread_files(options, sources)
    return [Source(CALL, problems=problems), *_read_all(sources)]


def read_nested(cls: type[BaseSettings], values: Mapping[str, Any]) -> list[Source]:
    """Read what another model gives, and libpq's variables of the process, and nothing else."""
    return [read_call(with_null_pool(values), class_names(cls).own), read_libpq_variables()]


def _built_in(
    cls: type[BaseSettings], options: Mapping[str, Any], arguments: dict[str, Any]
) -> dict[str, PydanticBaseSettingsSource]:
    """Return the sources of pydantic-settings, by the names that the hook has for them."""
    secrets = SecretsSettingsSource(cls, **known_options(SecretsSettingsSource, options))
    secrets.secrets_dir = options.get("secrets_dir")  # as an argument, None would mean that of the class
    return {
        "init_settings": InitSettingsSource(cls, init_kwargs=arguments),
        "env_settings": EnvSettingsSource(cls, **known_options(EnvSettingsSource, options)),
        "dotenv_settings": DotenvSource(cls, **known_options(DotEnvSettingsSource, options)),
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
    if isinstance(given, CliSettingsSource):
        return [given, *sources]
    if is_wanted:
        return [CliSettingsSource(cls, **known_options(CliSettingsSource, options)), *sources]
    return sources


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
    name = f"{cls.__name__}.settings_customise_sources"
    returned = getattr(source, "__name__", type(source).__name__)
    message, hint = f"{name} returned {returned}, which is no source", f"write {returned}(settings_cls)"
    if not isinstance(source, type):
        hint = "return sources, or functions without arguments"
    return UNREADABLE_SOURCE(name, message, hint=hint, origin=Origin(name))


def _hook_failed(cls: type[BaseSettings], error: Exception) -> Problem:
    """Report the exception of `settings_customise_sources`, with the source in which it was raised."""
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    source = next((one for one in frames if isinstance(one, PydanticBaseSettingsSource)), None)
    if source is None:
        return _failed(error, f"{cls.__name__}.settings_customise_sources", ())
    return _failed(error, type(source).__name__, _named_files(source))


def _read_all(sources: Iterable[PydanticBaseSettingsSource]) -> Iterator[Source]:
    """Read sources of pydantic-settings, by precedence; each can see what those before it have returned."""
    state: dict[str, Any] = {}
    data: dict[str, dict[str, Any]] = {}
    for source in sources:
        source._set_current_state(state)  # noqa: SLF001 - only reading them, in the source, is public
        source._set_settings_sources_data(data)  # noqa: SLF001
        read = _read(source)
        values: dict[str, Any] = {}
        for one in reversed(read):
            values = merged(values, _values(one))
        data[_class_name(source)] = values
        state = merged(values, state)
        yield from read


def _class_name(source: PydanticBaseSettingsSource) -> str:
    return source.name if isinstance(source, FunctionSource) else type(source).__name__


def _values(source: Source) -> dict[str, Any]:
    """Return the settings of a source as pydantic-settings has them."""
    values: dict[str, Any] = {name: sourced.value for name, sourced in source.fields.items()}
    for path, sourced in sorted(source.settings.items(), key=lambda item: len(item[0])):
        value = {path[1]: sourced.value} if path[1:] else sourced.value
        values = merged(values, {path[0]: value})
    return values


def _read(source: PydanticBaseSettingsSource) -> list[Source]:
    """Read a source of pydantic-settings, as one or several sources of ours, by precedence."""
    name = source.name if isinstance(source, UnnamedSource) else _NAMES.get(type(source))
    if name is None:
        return [_OtherSource(source).read()]
    options = SourceOptions(
        arguments=getattr(source, "init_kwargs", {}),
        env_file=getattr(source, "env_file", None),
        secrets_dir=getattr(source, "secrets_dir", None),
        names=source_names(source),
        encoding=getattr(source, "env_file_encoding", None),
        depth=getattr(source, "env_file_depth", None) or 0,
    )
    read = SOURCES[name](options)
    return list(read) if name == "init_settings" else [decode_fields(source, one) for one in read]


class _OtherSource:
    """A source of any class that is not ours: it is called, and its values are looked up in its files."""

    def __init__(self, source: PydanticBaseSettingsSource) -> None:
        self.source, self.kind, self.files = source, SourceKind(_class_name(source)), _named_files(source)
        yaml_section = getattr(source, "yaml_config_section", None)
        header = yaml_section.split(".") if yaml_section else getattr(source, "toml_table_header", None)
        self.header: SettingPath = tuple(header or ())  # the tables around all settings in its file

    def read(self) -> Source:
        """Call the source, and read what it returns."""
        source, kind = self.source, self.kind
        problems = list(self.missing_files())
        try:
            values = source()
        except Exception as error:  # noqa: BLE001 - whatever a source of the application's raises
            return Source(kind, problems=[*problems, _failed(error, kind.name, self.files)])
        if not isinstance(values, Mapping):
            message = f"{kind.name} returned a {type(values).__name__}, not a mapping"
            return Source(kind, problems=[UNREADABLE_SOURCE(kind.name, message, origin=Origin(kind.name))])
        names = source_names(source)
        written = _with_underscores(values, names)
        if isinstance(source, CliSettingsSource | JsonConfigSettingsSource):
            written = with_null_pool(written)
        read = read_mapping(kind, written, self.origin, self.hint, names.own)
        if isinstance(source, YamlConfigSettingsSource) and values.get("pool", "") is None:
            # YAML has a null for a section without options as well.
            hint, origin = 'write pool: "null" for no pooling, or leave it out', self.origin(("pool",))
            problems.append(INVALID_VALUE("pool", "pool has no options", hint=hint, origin=origin))
        read.problems[:0] = problems
        read.place = kind.name
        if isinstance(source, EnvSettingsSource) and not isinstance(source, CliSettingsSource):
            read.names = names
            _add_variables(source, read)
        return read

    def missing_files(self) -> Iterator[Problem]:
        """Report the files that are missing; a pyproject.toml may be."""
        for file in self.files:
            if not file.is_file() and not isinstance(self.source, PyprojectTomlConfigSettingsSource):
                message = f"there is no file {file}, which {self.kind.name} reads"
                hint = "name a file that exists, relative to the working directory"
                origin = Origin(self.kind.name, None, str(file))
                yield UNREADABLE_FILE(self.kind.name, message, hint=hint, origin=origin)

    def origin(self, path: SettingPath) -> Origin:
        """Return where a setting is written."""
        name = self.write(path)
        for file in self.files:
            if (line := find_line(file, (*self.header, *path), len(self.header))) is not None:
                return Origin(self.kind.name, name, str(file), line)
        return Origin(self.kind.name, name, str(self.files[0]) if self.files else None)

    def write(self, path: SettingPath) -> str:
        """Return a setting as the source writes it."""
        if isinstance(self.source, CliSettingsSource):
            return f"--{self.source.cli_prefix or ''}{'.'.join(path)}"
        if hasattr(self.source, "toml_file_path"):
            table = ".".join((*self.header, *path[:-1]))
            return f"[{table}] {path[-1]}" if table else path[-1]
        return ".".join(path)

    def hint(self, name: str) -> str:
        """Return what was probably meant by an unknown name."""
        return suggestions.setting_hint((name,), self.write, source_names(self.source).fields)


def _with_underscores(values: Mapping[str, Any], names: SettingNames) -> Mapping[str, Any]:
    """Return values with the names of our options, which are no fields that pydantic-settings translates."""
    return {
        name: {option.replace(names.word_separator, "_"): value for option, value in section.items()}
        if name in SECTIONS and isinstance(section, Mapping)
        else section
        for name, section in values.items()
    }


def _add_variables(source: EnvSettingsSource, read: Source) -> None:
    """Add the settings with the names of their variables, and the unknown ones, of a source of variables."""
    names = read.names
    # A secret is read when it is looked up. Google's source returns None for one that it is denied.
    reads_secrets = not isinstance(source.env_vars, dict) and source.env_parse_none_str is None
    hint = "allow the application to read it, and enable a version of it"
    variables: dict[str, SourcedValue] = {}
    # Google's names a secret twice if case does not count: as it is written, and in lower case.
    for variable in {names.fold(name): name for name in reversed(list(source.env_vars))}.values():
        path = None if names.is_field(variable) else names.path(variable)
        is_near = path is not None and suggestions.is_near_setting(path, names)
        if not (is_near or names.is_database_url(variable)):
            continue
        folded = variable if source.case_sensitive else variable.lower()
        text = source.env_vars[folded if folded in source.env_vars else variable]
        origin = Origin(read.kind.name, variable)
        if text is not None:
            variables[variable] = SourcedValue(text, origin)
        elif reads_secrets:
            message = f"{variable} has no value that can be read"
            read.problems.append(UNREADABLE_SOURCE(variable, message, hint=hint, origin=origin))
    read_variables(read, variables)


def _named_files(source: object) -> list[Path]:
    """Return the files that a source names: its attributes like ``toml_file_path``, the last one first."""
    named: list[Any] = []
    for attribute, value in vars(source).items():
        if attribute.endswith("file_path") and value is not None:
            named += list(value) if isinstance(value, list | tuple) else [value]
    return [Path(file).expanduser() for file in reversed(named) if isinstance(file, str | os.PathLike)]


def _failed(error: Exception, name: str, files: Sequence[Path]) -> Problem:
    """Report the exception of a source: its class and, if it cannot hold a secret, its reason."""
    if isinstance(error, SettingsError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # which it was raised from
    file = next((file for file in files if file.is_file()), None)
    mark = getattr(error, "problem_mark", None)  # yaml's
    in_text = re.search(r"at line (\d+)", str(error))  # TOML's
    line = mark.line + 1 if mark else getattr(error, "lineno", None) or (in_text and int(in_text[1]))
    origin = Origin(name, None, str(file), line) if file else Origin(name)
    if mark is not None or hasattr(error, "lineno") or type(error).__name__ == "TOMLDecodeError":
        reason = getattr(error, "problem", None) or getattr(error, "msg", None) or str(error)
        reason = str(reason).partition(" (at line")[0].lower()
        message = f"{name} cannot read {file or 'its input'}: {reason}"
        hint = "correct the syntax there"
        if file and file.read_bytes().startswith(codecs.BOM_UTF8):
            message = f"{name} cannot read {file}: it begins with a byte order mark (U+FEFF)"
            hint = "save it as UTF-8 without one"
    elif isinstance(error, ImportError):  # pydantic-settings names the package to install
        message, hint = f"{name} cannot be used: {redact(str(error))}", "install what is missing"
    else:
        message = f"{name} raised {type(error).__name__} at {raised_at(error)}"
        hint = "its text is not shown, as it may hold a secret"
    return UNREADABLE_SOURCE(name, message, hint=hint, origin=origin)
