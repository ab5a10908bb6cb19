"""The sources of pydantic-settings: its own are read by ours, with lines; any other is called."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SecretsSettingsSource,
)

from procrastinate_conn import suggestions
from procrastinate_conn.origins import Origin, SourcedValue, SourceKind
from procrastinate_conn.problems import Problem
from procrastinate_conn.setting_names import SETTINGS, SettingNames, SettingPath
from procrastinate_conn.sources import DEFAULT_ENV_FILE, as_list
from procrastinate_conn.sources.arguments import read_call, read_mapping
from procrastinate_conn.sources.base import INVALID_VALUE, UNREADABLE_FILE, UNREADABLE_SOURCE, Source
from procrastinate_conn.sources.dotenv import read_dotenv
from procrastinate_conn.sources.environment import read_environment
from procrastinate_conn.sources.lines import find_line
from procrastinate_conn.sources.secrets import read_secrets
from procrastinate_conn.sources.variables import read_variables
from procrastinate_conn.tracebacks import raised_at


class DotenvSource(DotEnvSettingsSource):
    """An env file that is not read before it is asked for, so that a malformed one is a problem."""

    def __init__(self, settings_cls: type[BaseSettings], *, env_file: Any, **options: Any) -> None:
        super().__init__(settings_cls, env_file=None, **options)
        self.env_file = env_file
        self._options = options

    def __call__(self) -> dict[str, Any]:
        """Read the files as pydantic-settings does, for a source that wraps this one."""
        return DotEnvSettingsSource(self.settings_cls, env_file=self.env_file, **self._options)()


def read(source: PydanticBaseSettingsSource) -> list[Source]:
    """Read a source of pydantic-settings, as one or several sources of ours, by precedence."""
    cls = type(source)
    if isinstance(source, InitSettingsSource) and cls is InitSettingsSource:
        return [read_call(source.init_kwargs, own_names(source.settings_cls))]
    if isinstance(source, SecretsSettingsSource) and cls is SecretsSettingsSource:
        names = setting_names(source)
        directories = reversed(as_list(source.secrets_dir))
        return [_decoded(source, read_secrets(directory, names)) for directory in directories]
    if isinstance(source, DotEnvSettingsSource) and cls in (DotEnvSettingsSource, DotenvSource):
        names, files = setting_names(source), reversed(as_list(source.env_file))
        return [
            _decoded(
                source,
                read_dotenv(
                    file,
                    optional=str(file) == DEFAULT_ENV_FILE,
                    names=names,
                    encoding=source.env_file_encoding,
                    depth=source.env_file_depth or 0,
                ),
            )
            for file in files
        ]
    if isinstance(source, EnvSettingsSource) and cls is EnvSettingsSource:
        return [_decoded(source, read_environment(os.environ, setting_names(source)))]
    return [_call(source)]


def own_names(settings_cls: type[BaseSettings]) -> frozenset[str]:
    """Return the names of the fields that are an application's own, and their aliases."""
    fields = {name: field for name, field in settings_cls.model_fields.items() if name not in SETTINGS}
    return frozenset(fields) | {alias for field in fields.values() for alias in _aliases(field)}


def _aliases(field: Any) -> Iterator[str]:
    for alias in (field.alias, field.validation_alias):
        choices = getattr(alias, "choices", [alias])
        for choice in choices:
            first = getattr(choice, "path", [choice])[0]
            if isinstance(first, str):
                yield first


def setting_names(source: Any) -> SettingNames:
    """Return the names of the variables of a source that reads variables."""
    fields = {n: f for n, f in source.settings_cls.model_fields.items() if n not in SETTINGS}
    return SettingNames(
        prefix=source.env_prefix or "",
        delimiter=getattr(source, "env_nested_delimiter", source.config.get("env_nested_delimiter")),
        case_sensitive=bool(source.case_sensitive),
        max_split=getattr(source, "env_nested_max_split", None),
        ignore_empty=bool(source.env_ignore_empty),
        none_text=source.env_parse_none_str,
        fields=frozenset(fields),
        aliases=frozenset(alias for field in fields.values() for alias in _aliases(field)),
    )


def _decoded(source: Any, read: Source) -> Source:
    """Return a source with the fields of the application's own as pydantic-settings reads their variables."""
    if not read.fields:
        return read
    names = read.names
    decoder = EnvSettingsSource(
        source.settings_cls,
        case_sensitive=names.case_sensitive,
        env_prefix=names.prefix,
        env_nested_delimiter=names.delimiter,
        env_nested_max_split=names.max_split,
        env_ignore_empty=names.ignore_empty,
        env_parse_none_str=names.none_text,
    )
    decoder.env_vars = {
        name if names.case_sensitive else name.lower(): None
        if sourced.value == names.none_text
        else str(sourced.value)
        for name, sourced in read.fields.items()
    }
    fields: dict[str, SourcedValue] = {}
    problems: list[Problem] = []
    for name, field in source.settings_cls.model_fields.items():
        if name in SETTINGS:
            continue
        origin = _origin_of_field(name, field, read)
        try:
            value, key, is_complex = decoder.get_field_value(field, name)
            value = decoder.prepare_field_value(name, field, value, is_complex)
        except ValueError as error:
            reason = f"{origin.name if origin else name} is not {_expected(error)}"
            hint = "write it as JSON, or one variable for each part"
            problems.append(INVALID_VALUE(name, reason, hint=hint, origin=origin))
            continue
        if value is not None and origin is not None:
            fields[key] = SourcedValue(value, origin)
    return replace(read, fields=fields, problems=(*read.problems, *problems))


def _expected(_error: ValueError) -> str:
    return "valid JSON"


def _origin_of_field(name: str, field: Any, read: Source) -> Origin | None:
    """Return the origin of the variable that sets a field, or of the first of its parts."""
    fold = read.names.fold
    stems = [fold(read.names.prefix + name), *map(fold, _aliases(field))]
    exact = [sourced.origin for variable, sourced in read.fields.items() if fold(variable) in stems]
    parts = [s.origin for v, s in read.fields.items() if any(fold(v).startswith(stem) for stem in stems)]
    return next(iter([*exact, *parts]), None)


def _call(source: PydanticBaseSettingsSource) -> Source:
    """Call a source of any other class, and read what it returns."""
    kind = SourceKind(type(source).__name__)
    files = named_files(source)
    missing = [] if isinstance(source, PyprojectTomlConfigSettingsSource) else list(_missing(kind, files))
    try:
        values = source()
    except Exception as error:  # noqa: BLE001 - whatever a source of the application's raises
        return Source(kind, problems=(*missing, failed(error, kind.name, files)))
    if not isinstance(values, Mapping):
        message = f"{kind.name} returned a {type(values).__name__}, not a mapping"
        return Source(kind, problems=(UNREADABLE_SOURCE(kind.name, message, origin=Origin(kind.name)),))
    own = own_names(source.settings_cls)
    read = read_mapping(kind, values, _locator(source, kind, files), _hints(source), own)
    read = replace(read, problems=(*missing, *read.problems), place=kind.name)
    if isinstance(source, EnvSettingsSource) and not isinstance(source, CliSettingsSource):
        return _with_variables(source, kind, read)
    return read


def _with_variables(source: EnvSettingsSource, kind: SourceKind, read: Source) -> Source:
    """Add the names of the variables, and the unknown ones, to what a source of variables returned."""
    names = setting_names(source)
    relevant = [
        variable
        for variable in source.env_vars
        if (path := names.path(variable)) is not None
        and not names.is_field(variable)
        and (names.is_default or path[0] in SETTINGS or suggestions.is_near_setting(path))
    ] + [variable for variable in source.env_vars if names.is_database_url(variable)]
    texts = {variable: source.env_vars[variable] for variable in relevant}
    variables = [(name, text, Origin(kind.name, name)) for name, text in texts.items() if text is not None]
    found = read_variables(kind, variables, names)
    return replace(
        read,
        settings={**read.settings, **found.settings},
        database_url=found.database_url,
        problems=(*read.problems, *found.problems),
        names=names,
    )


def named_files(source: object) -> list[Path]:
    """Return the files that a source names: its attributes like ``toml_file_path``, the last one first."""
    named: list[Any] = []
    for attribute, value in vars(source).items():
        if attribute.endswith("file_path") and value is not None:
            named += list(value) if isinstance(value, list | tuple) else [value]
    return [Path(file).expanduser() for file in reversed(named) if isinstance(file, str | os.PathLike)]


def _missing(kind: SourceKind, files: Sequence[Path]) -> Iterator[Problem]:
    for file in files:
        if not file.is_file():
            message = f"there is no file {file}, which {kind.name} reads"
            hint = "name a file that exists, relative to the working directory"
            yield UNREADABLE_FILE(kind.name, message, hint=hint, origin=Origin(kind.name, None, str(file)))


def failed(error: Exception, name: str, files: Sequence[Path]) -> Problem:
    """Report the exception of a source: its class and, if it cannot hold a secret, its reason."""
    file = next((file for file in files if file.is_file()), None)
    line = getattr(error, "lineno", None)
    mark = getattr(error, "problem_mark", None)  # yaml's
    if mark is not None:
        line = mark.line + 1
    is_syntax = line is not None or type(error).__name__ in ("TOMLDecodeError", "JSONDecodeError")
    if line is None and (found := re.search(r"at line (\d+)", str(error))):
        line = int(found[1])
    if "end of document" in str(error) and file:
        line = len(file.read_bytes().splitlines())
    origin = Origin(name, None, str(file) if file else None, line if file else None)
    if is_syntax:
        message = f"{name} cannot read {file or 'its input'}: {_reason(error)}"
        hint = "correct the syntax there"
    else:
        message = f"{name} raised {type(error).__name__} at {raised_at(error)}"
        hint = "its text is not shown, as it may hold a secret"
    return UNREADABLE_SOURCE(name, message, hint=hint, origin=origin)


def _reason(error: Exception) -> str:
    reason = getattr(error, "problem", None) or getattr(error, "msg", None) or str(error)
    return str(reason).partition(" (at line")[0].lower()


def _locator(
    source: PydanticBaseSettingsSource, kind: SourceKind, files: Sequence[Path]
) -> Callable[[SettingPath], Origin]:
    """Return the function that gives the origin of a setting in a source."""
    write = writer(source)
    header = tuple(getattr(source, "toml_table_header", ()) or ())
    section = getattr(source, "yaml_config_section", None)
    if section:
        header = tuple(section.split("."))

    def locate(path: SettingPath) -> Origin:
        for file in files:
            if (line := find_line(file, (*header, *path), len(header))) is not None:
                return Origin(kind.name, write(path), str(file), line)
        return Origin(kind.name, write(path), str(files[0]) if files else None)

    return locate


def writer(source: PydanticBaseSettingsSource) -> Callable[[SettingPath], str]:
    """Return the function that writes a setting as the source's format does."""
    if isinstance(source, CliSettingsSource):
        return lambda path: f"--{source.cli_prefix or ''}{'.'.join(path)}"
    if hasattr(source, "toml_file_path"):
        header = tuple(getattr(source, "toml_table_header", ()) or ())

        def write(path: SettingPath) -> str:
            table = ".".join((*header, *path[:-1]))
            return f"[{table}] {path[-1]}" if table else path[-1]

        return write
    return ".".join


def _hints(source: PydanticBaseSettingsSource) -> Callable[[str], str]:
    write = writer(source)
    return lambda name: suggestions.setting_hint((name,), write)
