"""The effective values of a configuration with their origins, secrets masked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from procrastinate_conn import libpq
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin, SourcedValue
from procrastinate_conn.pool.option_names import known_options
from procrastinate_conn.redaction import MASK, format_value, redact_value
from procrastinate_conn.registry import REGISTRY

ADDRESS = ("user", "dbname", "host", "hostaddr", "port")
"""The keywords that are shown even if libpq's default is effective."""

SIZES = ("min_size", "max_size", "timeout")
"""The pool options that are shown even if they are not set."""

SETTINGS = ("defaults", "json_dumps", "json_loads", "password_file", "password_command")
"""The settings beside the connector, the connection and the pool."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of one of JSON's types; `origin` is None for a default of ours or psycopg_pool's."""

    value: Any
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class EffectiveValue(Value):
    """An effective value, and those that it overrides, the nearest first."""

    overrides: Sequence[Value] = ()


def effective_values(
    configuration: Configuration, *, everything: bool
) -> dict[str, dict[str, EffectiveValue]]:
    """Collect the effective values by section, the libraries' defaults among them if `everything`.

    The configuration may have errors: keywords that libpq rejects are as configured, invalid pool options
    left out. A kind without a server has neither a connection nor a pool.
    """
    connector = {"connector": _connector(configuration)}
    if not REGISTRY[configuration.settings.kind].has_server:
        return {"setting": connector, "connection": {}, "listen": {}, "pool": {}}
    return {
        "setting": connector | _settings(configuration, everything=everything),
        "connection": _connection(configuration, everything=everything),
        "listen": _listen(configuration, everything=everything),
        "pool": _pool(configuration, everything=everything),
    }


def _connector(configuration: Configuration) -> EffectiveValue:
    """Return the connector; one that cannot be used is as configured."""
    kind, configured = configuration.settings.kind.value, _configured(configuration, "connector")
    if not configured:
        return EffectiveValue(kind, None)
    nearest = _effective("connector", configured)
    return replace(nearest, value=kind) if configuration.has_kind else nearest


def _settings(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    settings = {}
    for name in SETTINGS:
        if configured := _configured(configuration, name):
            settings[name] = _effective(name, configured)
        elif everything and name == "defaults":
            settings[name] = EffectiveValue(configuration.settings.defaults, None)
    if configuration.listen.is_off:
        settings["listen"] = _effective("listen", _configured(configuration, "listen"))
    return settings


def _connection(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the keywords in libpq's order."""
    spec, connection, redacted = configuration.spec, configuration.connection, configuration.redacted_keywords
    values = connection.effective
    if spec is not None:
        values = {k: SourcedValue(value, spec.origins[k]) for k, value in spec.parameters.items()}
    keywords = {}
    for keyword in libpq.keywords():
        value = values.get(keyword)
        if value is None:
            continue
        if everything or keyword in ADDRESS or value.origin.kind is not LIBPQ_DEFAULT:
            overrides = (v for v in connection.configured.get(keyword, ()) if v.origin != value.origin)
            mask = keyword in redacted
            keywords[keyword] = _effective(f"connection.{keyword}", [value, *overrides], mask=mask)
    if password := _password(configuration):
        keywords["password"] = password
    return keywords


def _listen(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the keywords that differ for the connection that listens."""
    listening, origins = configuration.listening, configuration.listen.origins
    if listening is None:
        return {}
    values = _connection(listening, everything=everything)
    return {keyword: value for keyword, value in values.items() if value.value and value.origin in origins}


def _password(configuration: Configuration) -> EffectiveValue | None:
    """Return the password that is read at run time, or the one that libpq finds in its password file."""
    settings = configuration.settings
    if source := settings.explicit.get(settings.password_setting):
        configured = configuration.connection.configured.get("password", ())
        return _effective("connection.password", [source, *configured], mask=True)
    origin = password_line(configuration.spec) if configuration.spec is not None else None
    return EffectiveValue(MASK, origin) if origin else None


def _pool(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the options in psycopg_pool's order, after ``null`` for a null pool."""
    kind, options = configuration.settings.kind, configuration.pool
    pool = {}
    if options.null:
        pool["null"] = replace(_effective("pool", _configured(configuration, "pool")), value=True)
    for name, parameter in known_options(kind, null=options.null).items():
        path = f"pool.{name}"
        configured = _configured(configuration, "pool", name)
        if configured and name in options.explicit:
            value = _number_or_text(path, options.explicit[name])
            pool[name] = replace(_effective(path, configured), value=value)
        elif name in SIZES:
            pool[name] = EffectiveValue(_number_or_text(path, getattr(options, name)), None)
        elif everything and REGISTRY[kind].supports(name):
            pool[name] = EffectiveValue(_number_or_text(path, parameter.default), None)
    return pool


def _configured(configuration: Configuration, *path: str) -> list[SourcedValue]:
    """Return every configured value of a setting, the nearest first."""
    return [source.settings[path] for source in configuration.sources if path in source.settings]


def _effective(path: str, values: Iterable[SourcedValue], *, mask: bool = False) -> EffectiveValue:
    """Return the first of several values, which overrides the others."""
    first, *overrides = (Value(MASK if mask else _text(path, v.value), v.origin) for v in values)
    return EffectiveValue(first.value, first.origin, overrides)


def _number_or_text(path: str, value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _text(path, value)


def _text(path: str, value: object) -> str:
    text = format_value(value)
    return redact_value(path, text) if isinstance(value, str | os.PathLike) else text
