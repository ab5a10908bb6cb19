"""The fields of the model: what the sources come to, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.resolution.connection import as_text
from procrastinate_conn.setting_names import SETTINGS
from procrastinate_conn.sources.base import INVALID_VALUE, Source


class ResolvedFields(dict[str, Any]):
    """The fields of settings whose sources are read already; any other mapping is a part of another model."""


def resolved_fields(configuration: Configuration) -> ResolvedFields:
    """Return the settings of all sources, merged and converted, and the fields of the application's own."""
    settings, dsn = configuration.settings, configuration.connection.dsn
    fields = ResolvedFields(
        _own_fields(configuration.sources),
        dsn=None if dsn is None else SecretStr(dsn.text),
        connector=settings.kind,
        connection=_keywords(configuration, "connection"),
        listen="off" if configuration.listen.is_off else _keywords(configuration, "listen"),
        pool=configuration.pool,
        json_dumps=settings.json_dumps,
        json_loads=settings.json_loads,
        defaults=settings.defaults,
    )
    if "password_file" in settings.explicit:
        fields["password_file"] = Path(str(settings.explicit["password_file"].value))
    if "password_command" in settings.explicit:
        fields["password_command"] = SecretStr(str(settings.explicit["password_command"].value))
    if configuration.errors:
        # Invalid, so that pydantic validates the other fields, and then not the whole model.
        fields["defaults"] = None
    return fields


def _keywords(configuration: Configuration, section: str) -> dict[str, str | SecretStr]:
    return {
        keyword: SecretStr(text) if keyword == "dsn" or is_secret(keyword) else text
        for source in reversed(configuration.sources)
        for keyword, sourced in source.section(section).items()
        if (text := as_text(sourced.value)) is not None
    }


def _own_fields(sources: Sequence[Source]) -> dict[str, Any]:
    """Return the fields of the application's own: of the first source that sets one; mappings are merged."""
    fields: dict[str, Any] = {}
    for source in reversed(sources):
        for name, sourced in source.fields.items():
            fields[name] = merged(fields.get(name), sourced.value)
    return fields


def merged(below: Any, above: Any) -> Any:
    """Return a value over the one of lower precedence; mappings are merged, as pydantic-settings does."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}
    return above


def validation_problems(error: ValidationError, configuration: Configuration) -> Iterator[Problem]:
    """Report what pydantic and the validators of a subclass find wrong, each with its origin.

    Beside errors of the settings themselves it is what is wrong with the application's own fields.
    """
    known = {problem.setting for problem in configuration.errors}
    for line in error.errors():
        if known and (not line["loc"] or line["loc"][0] in {*known, *SETTINGS}):
            continue
        setting = ".".join(map(str, line["loc"])) or "settings"
        cause = line.get("ctx", {}).get("error")
        if isinstance(cause, ConfigurationError):  # of settings that are a field of these
            yield from cause.problems
            continue
        origin = _origin(str(line["loc"][0]), configuration) if line["loc"] else None
        text = line["msg"]
        text = text if text[:2].isupper() else text[:1].lower() + text[1:]  # as in "URL scheme"
        message = f"{setting}: {text}"
        yield INVALID_VALUE(setting, message, hint="write a value that its type allows", origin=origin)


def _origin(name: str, configuration: Configuration) -> Origin | None:
    for source in configuration.sources:
        if sourced := source.fields.get(name) or source.settings.get((name,)):
            return sourced.origin
    return None
