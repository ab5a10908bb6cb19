"""The effective values of a configuration with their origins, secrets masked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from procrastinate_conn import libpq
from procrastinate_conn.checks.passwords import source_in_force
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin, SourcedValue
from procrastinate_conn.pool.option_names import known_options
from procrastinate_conn.redaction import MASK, format_value, redact_value
from procrastinate_conn.registry import REGISTRY
from procrastinate_conn.sources.base import INVALID_VALUE

ADDRESS = ("user", "dbname", "host", "hostaddr", "port")
"""The keywords that are shown even if libpq's default is effective."""

SIZES = ("min_size", "max_size", "timeout")
"""The pool options that are shown even if they are not set."""

SETTINGS = ("defaults", "json_dumps", "json_loads", "password_file", "password_command")
"""The settings beside the connector, the connection and the pool."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value, masked if it could be a secret.

    Parameters
    ----------
    value
        Of JSON's types.
    origin
        Where it is written; None for a default of ours or psycopg_pool's.
    """

    value: Any
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class EffectiveValue(Value):
    """An effective value, and those that it overrides, the nearest first."""

    overrides: Sequence[Value] = ()


@dataclass(frozen=True, slots=True)
class EffectiveValues:
    """All values, in the order in which they are shown."""

    connector: EffectiveValue
    settings: Mapping[str, EffectiveValue]
    connection: Mapping[str, EffectiveValue]
    pool: Mapping[str, EffectiveValue]


def effective_values(configuration: Configuration, *, everything: bool) -> EffectiveValues:
    """Collect the effective values.

    Parameters
    ----------
    configuration
        It may have errors: keywords that libpq rejects are as configured, invalid pool options left out.
    everything
        Whether to include the libraries' defaults.
    """
    return EffectiveValues(
        connector=_connector(configuration),
        settings=_settings(configuration, everything=everything),
        connection=_connection(configuration, everything=everything),
        pool=_pool(configuration, everything=everything),
    )


def _connector(configuration: Configuration) -> EffectiveValue:
    values = [_setting("connector", sourced) for sourced in _configured(configuration, "connector")]
    kind, origin = configuration.settings.kind.value, None
    is_invalid = any(
        problem.code == INVALID_VALUE.code and problem.setting == "connector"
        for problem in configuration.problems
    )
    if values and not is_invalid:
        origin = values.pop(0).origin
    return EffectiveValue(kind, origin, values)


def _settings(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    settings = {}
    for name in SETTINGS:
        configured = _configured(configuration, name)
        if configured:
            settings[name] = _first_of(_setting(name, sourced) for sourced in configured)
        elif everything and name == "defaults":
            settings[name] = EffectiveValue(configuration.settings.defaults, None)
    return settings


def _connection(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the keywords in libpq's order."""
    spec, connection = configuration.spec, configuration.connection
    effective = connection.effective
    if spec is not None:
        effective = {
            keyword: SourcedValue(v, spec.origins[keyword]) for keyword, v in spec.parameters.items()
        }
    masked = connection.redacted_keywords | _beside_invalid_port(configuration)
    keywords = {}
    for keyword in libpq.keywords():
        if keyword not in effective:
            continue
        first = effective[keyword]
        if everything or keyword in ADDRESS or first.origin.kind is not LIBPQ_DEFAULT:
            overrides = [v for v in connection.configured.get(keyword, ()) if v.origin != first.origin]
            keywords[keyword] = _first_of(_keyword(keyword, v, masked) for v in (first, *overrides))
    if password := _password(configuration):
        keywords["password"] = password
    return keywords


def _password(configuration: Configuration) -> EffectiveValue | None:
    """Return the password that is read at run time, or the one that libpq finds in its password file."""
    _, source = source_in_force(configuration)
    if source is not None:
        configured = configuration.connection.configured.get("password", ())
        return EffectiveValue(MASK, source.origin, [Value(MASK, sourced.origin) for sourced in configured])
    origin = password_line(configuration.spec) if configuration.spec is not None else None
    return EffectiveValue(MASK, origin) if origin else None


def _pool(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the options in psycopg_pool's order, after ``null`` for a null pool."""
    kind, options = configuration.settings.kind, configuration.pool
    pool = {}
    if options.null:
        first, *overrides = (_setting("pool", sourced) for sourced in _configured(configuration, "pool"))
        pool["null"] = EffectiveValue(True, first.origin, overrides)
    for name, parameter in known_options(kind, null=options.null).items():
        configured = _configured(configuration, "pool", name)
        if configured and name in options.explicit:
            first, *overrides = (Value(_option_text(name, v.value), v.origin) for v in configured)
            pool[name] = EffectiveValue(_option(name, options.explicit[name]), first.origin, overrides)
        elif name in SIZES:
            pool[name] = EffectiveValue(_option(name, getattr(options, name)), None)
        elif everything and REGISTRY[kind].supports(name):
            pool[name] = EffectiveValue(_option(name, parameter.default), None)
    return pool


def _configured(configuration: Configuration, *path: str) -> list[SourcedValue]:
    """Return every configured value of a setting, the nearest first."""
    return [source.settings[path] for source in configuration.sources if path in source.settings]


def _first_of(values: Iterable[Value]) -> EffectiveValue:
    first, *overrides = values
    return EffectiveValue(first.value, first.origin, overrides)


def _keyword(keyword: str, sourced: SourcedValue, masked: Iterable[str]) -> Value:
    text = MASK if keyword in masked else redact_value(f"connection.{keyword}", str(sourced.value))
    return Value(text, sourced.origin)


def _beside_invalid_port(configuration: Configuration) -> set[str]:
    """Return the keywords that may hold pieces of a password: libpq took another piece for the port."""
    invalid = next((p for p in configuration.errors if p.setting == "connection.port"), None)
    if invalid is None:
        return set()
    configured = configuration.connection.configured
    return {"port"} | {
        keyword
        for keyword in ADDRESS
        if any(sourced.origin == invalid.origin for sourced in configured.get(keyword, ()))
    }


def _setting(name: str, sourced: SourcedValue) -> Value:
    text = format_value(sourced.value)
    is_text = isinstance(sourced.value, str | os.PathLike)
    return Value(redact_value(name, text) if is_text else text, sourced.origin)


def _option(name: str, value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _option_text(name, value)


def _option_text(name: str, value: object) -> str:
    return redact_value(f"pool.{name}", value) if isinstance(value, str) else format_value(value)
