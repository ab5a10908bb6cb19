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
from procrastinate_conn.pool.parameters import known_options
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
    kind, listening = configuration.settings.kind, configuration.listening
    connector = _effective(configuration, "connector") or EffectiveValue(kind.value, None)
    if configuration.has_kind:  # one that cannot be used is shown as configured
        connector = replace(connector, value=kind.value)
    settings = {"connector": connector}
    if not REGISTRY[kind].has_server:
        return {"setting": settings, "connection": {}, "listen": {}, "pool": {}}
    if everything:
        settings["defaults"] = EffectiveValue(configuration.settings.defaults, None)
    for name in (*SETTINGS, "listen") if configuration.listen.is_off else SETTINGS:
        if value := _effective(configuration, name):
            settings[name] = value
    listen = _connection(listening, everything=everything) if listening else {}
    origins = configuration.listen.origins  # of the keywords that differ for the connection that listens
    return {
        "setting": settings,
        "connection": _connection(configuration, everything=everything),
        "listen": {k: v for k, v in listen.items() if v.value and v.origin in origins},
        "pool": _pool(configuration, everything=everything),
    }


def _connection(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the keywords in libpq's order, with the password that is read at run time."""
    spec, connection, settings = configuration.spec, configuration.connection, configuration.settings
    values = connection.effective
    if spec is not None:
        values = {k: SourcedValue(value, spec.origins[k]) for k, value in spec.parameters.items()}
    keywords = {}
    for keyword in libpq.keywords():
        value = values.get(keyword)
        if value is not None and (everything or keyword in ADDRESS or value.origin.kind is not LIBPQ_DEFAULT):
            overrides = (v for v in connection.configured.get(keyword, ()) if v.origin != value.origin)
            mask = keyword in configuration.redacted_keywords
            keywords[keyword] = _overriding(f"connection.{keyword}", [value, *overrides], mask=mask)
    if source := settings.explicit.get(settings.password_setting):
        configured = connection.configured.get("password", ())
        keywords["password"] = _overriding("connection.password", [source, *configured], mask=True)
    elif spec is not None and (origin := password_line(spec)):  # which libpq reads
        keywords["password"] = EffectiveValue(MASK, origin)
    return keywords


def _pool(configuration: Configuration, *, everything: bool) -> dict[str, EffectiveValue]:
    """Return the options in psycopg_pool's order, after ``null`` for a null pool."""
    kind, options = configuration.settings.kind, configuration.pool
    pool = {}
    if options.null and (null := _effective(configuration, "pool")):
        pool["null"] = replace(null, value=True)
    for name, parameter in known_options(kind, null=options.null).items():
        configured = _effective(configuration, "pool", name) if name in options.explicit else None
        if configured or name in SIZES:
            value = options.explicit[name] if configured else getattr(options, name)
        elif everything and REGISTRY[kind].supports(name):
            value = parameter.default
        else:
            continue
        if value is not None and not isinstance(value, bool | int | float):
            value = _text(f"pool.{name}", value)
        pool[name] = replace(configured or EffectiveValue(None, None), value=value)
    return pool


def _effective(configuration: Configuration, *path: str) -> EffectiveValue | None:
    """Return the nearest configured value of a setting; None if there is none."""
    configured = [source.settings[path] for source in configuration.sources if path in source.settings]
    return _overriding(".".join(path), configured) if configured else None


def _overriding(path: str, values: Iterable[SourcedValue], *, mask: bool = False) -> EffectiveValue:
    """Return the first of several values, which overrides the others."""
    first, *overrides = (Value(MASK if mask else _text(path, v.value), v.origin) for v in values)
    return EffectiveValue(first.value, first.origin, overrides)


def _text(path: str, value: object) -> str:
    text = format_value(value)
    return redact_value(path, text) if isinstance(value, str | os.PathLike) else text
