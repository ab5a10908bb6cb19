"""What a subclass of the settings may change, and the fields of the application's own that it adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.setting_names import SETTINGS, SettingNames
from procrastinate_conn.sources.arguments import ARGUMENTS, read_call
from procrastinate_conn.sources.base import INVALID_VALUE, Source

_CHANGEABLE_DEFAULTS = ("connector", "pool", "json_dumps", "json_loads", "defaults")
"""The settings that a subclass may give another default. The others belong to the connection, whose sources
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


def rejected_changes(cls: type[BaseSettings], base: type[BaseSettings]) -> Iterator[str]:
    """Yield the fields and config options that cannot be honoured in a subclass, each with the reason."""
    yield from _rejected_fields(cls, base)
    for option, reason in _REJECTED_CONFIG.items():
        if cls.model_config.get(option) != base.model_config.get(option):
            yield f"{option}: {reason}"
    if cls.model_config.get("extra") == "allow":
        yield "extra: a name that is no setting would be a misspelt one"
    if not cls.model_config.get("frozen"):
        yield "frozen: the settings are resolved together, once"


def _rejected_fields(cls: type[BaseSettings], base: type[BaseSettings]) -> Iterator[str]:
    for name in SETTINGS:
        if cls.model_fields[name].validation_alias != base.model_fields[name].validation_alias:
            yield f"{name}: its variable has the prefix, and no alias"
        elif name not in _CHANGEABLE_DEFAULTS and _default(cls, name) != _default(base, name):
            yield f"{name}: the connection is merged by keyword, and no default is one of its sources"
    for name in cls.model_fields.keys() - SETTINGS.keys():
        if name in ARGUMENTS:
            yield f"{name}: it is an argument already, and as a variable it is connection.{name}"
        elif hasattr(base, name):
            yield f"{name}: it would hide what ConnectorSettings has under that name"


def changed_defaults(cls: type[BaseSettings], base: type[BaseSettings]) -> Source:
    """Return the defaults that a subclass changes, as the source of lowest precedence."""
    defaults = {name: _default(cls, name) for name in _CHANGEABLE_DEFAULTS}
    return changes({n: v for n, v in defaults.items() if v != _default(base, n)}, cls)


def changes(values: Mapping[str, Any], cls: type[BaseSettings]) -> Source:
    """Return settings that the code of a subclass sets, as a source that names the class."""
    source = read_call(values)
    for path, sourced in source.settings.items():
        origin = Origin("call", f"{cls.__name__}.{sourced.origin.name}")
        source.settings[path] = replace(sourced, origin=origin)
    return source


def _default(cls: type[BaseSettings], name: str) -> Any:
    return cls.model_fields[name].get_default(call_default_factory=True)


def own_fields(cls: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Return the fields that are no settings of ours."""
    return {name: field for name, field in cls.model_fields.items() if name not in SETTINGS}


def class_names(cls: type[BaseSettings], options: Mapping[str, Any] | None = None) -> SettingNames:
    """Return the names of the variables of a class, with its options or others."""
    fields, options = own_fields(cls), options or cls.model_config
    by_name = options.get("populate_by_name") or options.get("validate_by_name")
    return SettingNames(
        prefix=options.get("env_prefix") or "",
        delimiter=options.get("env_nested_delimiter"),
        case_sensitive=bool(options.get("case_sensitive")),
        max_split=options.get("env_nested_max_split"),
        ignore_empty=bool(options.get("env_ignore_empty")),
        none_text=options.get("env_parse_none_str"),
        fields=frozenset(name for name, field in fields.items() if by_name or not any(aliases(field))),
        aliases=frozenset(alias for field in fields.values() for alias in aliases(field)),
    )


def source_names(source: PydanticBaseSettingsSource) -> SettingNames:
    """Return the names of the variables of a source; options that it does not have are those of the class."""
    names = class_names(source.settings_cls, {**source.config, **vars(source)})
    # Azure's: the names of its secrets have no underscores. Nothing public tells.
    has_dashes = getattr(source, "_dash_to_underscore", False) and names.delimiter == "--"
    return names._replace(word_separator="-") if has_dashes else names


def aliases(field: FieldInfo) -> Iterator[str]:
    """Yield the names that a field has beside its own, and without the prefix."""
    for alias in (field.alias, field.validation_alias):
        for choice in getattr(alias, "choices", [alias]):
            first = getattr(choice, "path", [choice])[0]
            if isinstance(first, str):
                yield first


def field_names(cls: type[BaseSettings], name: str) -> list[str]:
    """Return every name of the field that has this name or alias: its aliases first, and its own last."""
    every = ([*aliases(field), own] for own, field in own_fields(cls).items())
    return next((names for names in every if name in names), [name])


def variables(cls: type[BaseSettings], names: SettingNames, path: Sequence[str]) -> list[str]:
    """Return the variables that set an own field, or a part of one."""
    *others, own = dict.fromkeys(field_names(cls, path[0]))
    parts = path[1:] if names.delimiter else ()
    return [(names.delimiter or "").join([alias, *parts]) for alias in others] or [
        names.variable((own, *parts))
    ]


def known_options(source: type[PydanticBaseSettingsSource], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a source takes; an older pydantic-settings has fewer."""
    _, *known = signature(source).parameters  # the first one is the class of the settings
    return {name: options[name] for name in known if name in options}


def decode_fields(source: PydanticBaseSettingsSource, read: Source) -> Source:
    """Return a source with its fields as pydantic-settings reads their variables."""
    if not read.fields:
        return read
    names, cls = read.names, source.settings_cls
    options = {**source.config, **vars(source)}
    decoder = EnvSettingsSource(cls, **known_options(EnvSettingsSource, options))
    decoder.env_vars = {
        name if names.case_sensitive else name.lower(): None
        if sourced.value == names.none_text
        else str(sourced.value)
        for name, sourced in read.fields.items()
    }
    fields: dict[str, SourcedValue] = {}
    for name, field in own_fields(cls).items():
        if (origin := _field_origin(name, field, read)) is None:
            continue
        first = next(aliases(field), name)  # as pydantic-settings gives the arguments of a call
        try:
            value, _, is_complex = decoder.get_field_value(field, name)
            value = decoder.prepare_field_value(name, field, value, is_complex)
        except ValueError:
            message = f"{origin.name} is not valid JSON"
            hint = "write it as JSON, or one variable for each part"
            read.problems.append(INVALID_VALUE(first, message, hint=hint, origin=origin))
        else:
            if value is not None:
                fields[first] = SourcedValue(value, origin)
    read.fields = fields
    return read


def _field_origin(name: str, field: FieldInfo, read: Source) -> Origin | None:
    fold = read.names.fold
    stems = [fold(read.names.prefix + name), *map(fold, aliases(field))]
    exact = [sourced.origin for variable, sourced in read.fields.items() if fold(variable) in stems]
    parts = [s.origin for v, s in read.fields.items() if any(fold(v).startswith(stem) for stem in stems)]
    return next(iter([*exact, *parts]), None)
