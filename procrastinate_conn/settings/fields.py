"""The fields of the model: what the sources come to, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.resolution.connection import as_text
from procrastinate_conn.setting_names import SETTINGS
from procrastinate_conn.settings.subclasses import field_names, variables
from procrastinate_conn.sources.base import INVALID_VALUE


class ResolvedFields(dict[str, Any]):
    """The fields of settings whose sources are read already; any other mapping is a part of another model."""


def resolved_fields(configuration: Configuration) -> ResolvedFields:
    """Return the settings of all sources, merged and converted, and the fields of the application's own."""
    settings, dsn = configuration.settings, configuration.connection.dsn
    fields = ResolvedFields()
    for source in reversed(configuration.sources):
        for name, sourced in source.fields.items():
            fields[name] = merged(fields.get(name), sourced.value)
    fields.update(
        dsn=None if dsn is None else SecretStr(dsn.text),
        connector=settings.kind,
        connection=_keywords(configuration, "connection"),
        listen="off" if configuration.listen.is_off else _keywords(configuration, "listen"),
        pool=configuration.pool,
        json_dumps=settings.json_dumps,
        json_loads=settings.json_loads,
        # Invalid beside errors, so that pydantic validates the other fields, and then not the whole model.
        defaults=None if configuration.errors else settings.defaults,
    )
    if file := settings.explicit.get("password_file"):
        fields["password_file"] = Path(str(file.value))
    if command := settings.explicit.get("password_command"):
        fields["password_command"] = SecretStr(str(command.value))
    return fields


def _keywords(configuration: Configuration, section: str) -> dict[str, str | SecretStr]:
    return {
        keyword: SecretStr(text) if keyword == "dsn" or is_secret(keyword) else text
        for source in reversed(configuration.sources)
        for keyword, sourced in source.section(section).items()
        if (text := as_text(sourced.value)) is not None
    }


def merged(below: Any, above: Any) -> Any:
    """Return a value over the one of lower precedence; mappings are merged, as pydantic-settings does."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}
    return above


def validation_problems(
    error: ValidationError, configuration: Configuration, cls: type[BaseSettings]
) -> Iterator[Problem]:
    """Report what pydantic and the validators of a subclass find wrong, each with its origin.

    Beside errors of the settings themselves it is what is wrong with the application's own fields.
    """
    known = {problem.setting for problem in configuration.errors}
    for line in error.errors():
        path = [str(part) for part in line["loc"]]
        if known and (not path or path[0] in {*known, *SETTINGS}):
            continue
        cause = line.get("ctx", {}).get("error")
        if isinstance(cause, ConfigurationError):  # of settings that are a field of these
            yield from cause.problems
            continue
        message, hint = line["msg"][:1].lower() + line["msg"][1:], "write a value that its type allows"
        match line["type"]:
            case "missing":
                sources = (source for source in configuration.sources if path[0] in source.names.own)
                names = next((source.names for source in sources), None)
                hint = f"set {' or '.join(variables(cls, names, path))}" if names else "give it a value"
            case "value_error" | "assertion_error":  # "Value error, " and a validator's text
                message = line["msg"].partition(", ")[2] or message
                hint = "write a value that its validator accepts"
                if not path:
                    hint = f"change the settings so that the validator of {cls.__name__} accepts them"
        name, origin = ".".join(path), _origin(field_names(cls, path[0]), configuration) if path else None
        message = f"{name or cls.__name__}: {message}"
        yield INVALID_VALUE(name or "settings", message, hint=hint, origin=origin)


def _origin(names: Sequence[str], configuration: Configuration) -> Origin | None:
    """Return the place of a field's value; None if several places have parts of it."""
    for source in configuration.sources:
        for name in names:
            if sourced := source.fields.get(name) or source.settings.get((name,)):
                return sourced.origin
            if origins := {part.origin for path, part in source.settings.items() if path[0] == name}:
                return origins.pop() if len(origins) == 1 else None
    dsn = configuration.connection.dsn
    return dsn.origin if dsn is not None and "dsn" in names else None
