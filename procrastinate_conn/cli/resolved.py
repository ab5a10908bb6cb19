"""A configuration as rows: every value with its origin and what it overrode, secrets masked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from procrastinate_conn import libpq
from procrastinate_conn.checks.passwords import source_in_force
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool.option_names import OWN, vocabulary
from procrastinate_conn.redaction import (
    MASK,
    format_value,
    is_harmless,
    is_harmless_option,
    is_harmless_setting,
)
from procrastinate_conn.registry import REGISTRY
from procrastinate_conn.sources.base import INVALID_VALUE

WHERE_TO = ("user", "dbname", "host", "hostaddr", "port")
"""The keywords that are shown even where libpq decides them."""

SIZES = ("min_size", "max_size", "timeout")
"""The pool options that are shown even where nothing is stated."""

OTHERS = ("defaults", "json_dumps", "json_loads", "password_file", "password_command")
"""The settings beside the connector, the connection and the pool."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value that is in force.

    Parameters
    ----------
    value
        Text, a number, a truth value or None; masked where it is a secret.
    origin
        Where it is written; None for a default of ours or psycopg_pool's.
    overrides
        The values that it beat, the nearest first.
    """

    value: Any
    origin: Origin | None
    overrides: Sequence[Row] = ()


def connector(configuration: Configuration) -> Row:
    """Return the connector that is in force."""
    stated = _stated(configuration, ("connector",))
    if any(p.code == INVALID_VALUE.code and p.setting == "connector" for p in configuration.problems):
        first, beaten = None, stated
    else:
        first, beaten = stated[0].origin if stated else None, stated[1:]
    return Row(configuration.settings.kind.value, first, [_setting("connector", s) for s in beaten])


def connection(configuration: Configuration, *, everything: bool) -> dict[str, Row]:
    """Return the keywords of the connection, in libpq's order.

    Parameters
    ----------
    configuration
        Where libpq refuses it, its keywords are as they were stated.
    everything
        Whether libpq's own defaults are among them.
    """
    stated, spec = configuration.connection.configured, configuration.spec
    effective = configuration.connection.effective
    values = spec.parameters if spec else {k: str(v.value) for k, v in effective.items()}
    origins = spec.origins if spec else {k: v.origin for k, v in effective.items()}
    masked = _masked(configuration)
    rows = {
        keyword: _keyword(
            keyword,
            [
                SourcedValue(values[keyword], origins[keyword]),
                *_beaten(stated.get(keyword, ()), origins[keyword]),
            ],
            mask=keyword in masked,
        )
        for keyword in libpq.keywords()
        if keyword in values
        and (everything or keyword in WHERE_TO or origins[keyword].source != "libpq-default")
    }
    password = _password(configuration, spec)
    return rows if password is None else rows | {"password": password}


def pool(configuration: Configuration, *, everything: bool) -> dict[str, Row]:
    """Return the pool options, in psycopg_pool's order; `null` among them for a null pool.

    Parameters
    ----------
    configuration
        An option that is wrong is left out.
    everything
        Whether psycopg_pool's defaults are among them.
    """
    options = configuration.pool
    in_force = options.explicit | {name: getattr(options, name) for name in OWN}
    rows = {}
    if options.null:
        first, *beaten = _stated(configuration, ("pool",))
        rows["null"] = Row(True, first.origin, [_setting("pool", sourced) for sourced in beaten])
    for name, parameter in vocabulary(configuration.settings.kind, null=options.null).items():
        stated = _stated(configuration, ("pool", name))
        if stated and name in in_force:
            rows[name] = _option(name, in_force[name], stated)
        elif name in SIZES or (everything and _is_possible(name, configuration)):
            value = getattr(options, name) if name in SIZES else parameter.default
            rows[name] = Row(_plain(name, value), None)
    return rows


def others(configuration: Configuration, *, everything: bool) -> dict[str, Row]:
    """Return the other settings that were stated.

    Parameters
    ----------
    configuration
        What was resolved.
    everything
        Whether `defaults` is among them where it was not stated.
    """
    rows = {}
    for name in OTHERS:
        stated = _stated(configuration, (name,))
        if stated:
            first, *beaten = (_setting(name, sourced) for sourced in stated)
            rows[name] = replace(first, overrides=beaten)
        elif everything and name == "defaults":
            rows[name] = Row(configuration.settings.defaults, None)
    return rows


def _keyword(keyword: str, values: Sequence[SourcedValue], *, mask: bool) -> Row:
    first, *beaten = (
        Row(
            str(sourced.value) if not mask and is_harmless(keyword, str(sourced.value)) else MASK,
            sourced.origin,
        )
        for sourced in values
    )
    return replace(first, overrides=beaten)


def _masked(configuration: Configuration) -> set[str]:
    """Return the keywords that are not shown: secrets, and what may be a piece of one."""
    secrets = {keyword for keyword in libpq.keywords() if is_secret(keyword)}
    return secrets | configuration.connection.redacted_keywords | _beside_a_refused_port(configuration)


def _beside_a_refused_port(configuration: Configuration) -> set[str]:
    """Return where the pieces of a password are that libpq took for a port: the whole DSN is cut wrongly."""
    refused = next((p for p in configuration.errors if p.setting == "connection.port"), None)
    if refused is None:
        return set()
    cut = ("user", "host", "hostaddr", "dbname")
    stated = configuration.connection.configured
    beside = {k for k in cut if any(sourced.origin == refused.origin for sourced in stated.get(k, ()))}
    return beside | {"port"}


def _password(configuration: Configuration, spec: ConnectionSpec | None) -> Row | None:
    """Return the password that is read at run time, or the one that libpq finds in its password file."""
    _, source = source_in_force(configuration)
    if source is not None:
        stated = configuration.connection.configured.get("password", ())
        return Row(MASK, source.origin, [Row(MASK, sourced.origin) for sourced in stated])
    origin = password_line(spec) if spec is not None else None
    return Row(MASK, origin) if origin else None


def _stated(configuration: Configuration, path: tuple[str, ...]) -> list[SourcedValue]:
    """Return every value that was stated for a setting, the nearest first."""
    return [source.settings[path] for source in configuration.sources if path in source.settings]


def _is_possible(name: str, configuration: Configuration) -> bool:
    return REGISTRY[configuration.settings.kind].support(name).how != "not possible"


def _beaten(stated: Sequence[SourcedValue], winner: Origin) -> Sequence[SourcedValue]:
    return stated[1:] if stated and stated[0].origin == winner else stated


def _option(name: str, value: object, stated: Sequence[SourcedValue]) -> Row:
    return Row(
        _plain(name, value), stated[0].origin, [Row(_written(name, o.value), o.origin) for o in stated[1:]]
    )


def _plain(name: str, value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _written(name, value)


def _written(name: str, value: object) -> str:
    """Return an option's value as it is written; text only if it looks harmless."""
    return MASK if isinstance(value, str) and not is_harmless_option(name, value) else format_value(value)


def _setting(name: str, stated: SourcedValue) -> Row:
    """Return a setting as it is written; text only if it looks harmless, a command never."""
    text = format_value(stated.value)
    is_text = isinstance(stated.value, str | os.PathLike)
    return Row(MASK if is_text and not is_harmless_setting(name, text) else text, stated.origin)
