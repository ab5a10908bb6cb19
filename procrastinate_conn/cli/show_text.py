"""A configuration as text: one sentence, and tables of the effective values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from procrastinate_conn.cli.show_values import ADDRESS, EffectiveValue, effective_values
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.connector_info import AS_DOCUMENTED
from procrastinate_conn.origins import Origin
from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.problems import counted
from procrastinate_conn.redaction import format_value, is_safe_to_show
from procrastinate_conn.registry import REGISTRY

MAX_NAME_WIDTH = 36
"""Columns that are kept for a variable's name beside the notes."""

VALUES_SHARE = 3
"""A value may take a third of the width before it is folded, such as a list of hosts."""

TLS_MODES = {
    "disable": "no TLS",
    "allow": "TLS if the server requires it",
    "prefer": "TLS if the server supports it",
}


def tables(configuration: Configuration, width: int, *, everything: bool) -> Group:
    """Return the sentence and the tables for a width in columns, with overridden values if `everything`."""
    summary = _summary(configuration)
    sections = effective_values(configuration, everything=everything).items()
    parts: list[Text | Table] = [Text(summary)] if summary else []
    parts += [_table(configuration, k, v, width, overrides=everything) for k, v in sections if v]
    return Group(*parts)


def _table(
    configuration: Configuration,
    section: str,
    values: Mapping[str, EffectiveValue],
    width: int,
    *,
    overrides: bool,
) -> Table:
    """Return a table of values and their origins; notes tell which options the kind supports otherwise."""
    kind = configuration.settings.kind
    support = REGISTRY[kind].pool_options if section == "pool" and configuration.has_kind else {}
    notes = {k: each.sentence for k, each in support.items() if k in values and each != AS_DOCUMENTED}
    words = [word for value in values.values() for word in str(_origin(value.origin)).split()]
    longest_word = min(max(map(len, words)), MAX_NAME_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(section, no_wrap=True)
    table.add_column("value", overflow="fold", max_width=width // VALUES_SHARE)
    table.add_column("from", overflow="fold", min_width=longest_word if notes else None)
    if notes:
        table.add_column(f"on {kind}", overflow="fold")
    for name, value in values.items():
        note = [Text(notes.get(name, ""), "dim")] if notes else []
        table.add_row(Text(name, "bold"), Text(format_value(value.value)), _origin(value.origin), *note)
        for overridden in value.overrides if overrides else ():
            texts = (f"not {format_value(overridden.value)}", str(overridden.origin))
            table.add_row("", *(Text(text, "dim") for text in texts))
    return table


def _origin(origin: Origin | None) -> Text:
    """Return the place of a value; dim for a default."""
    return Text(str(origin or "default"), "dim" if origin is None or origin.kind.is_default else "")


def _summary(configuration: Configuration) -> str:
    """Return the connector, the server and the pool in one sentence.

    It is empty if the connector is unknown, or if it could show a secret.
    """
    if not configuration.has_kind:
        return ""
    spec, kind = configuration.spec, configuration.settings.kind
    abilities = "async, runs workers" if REGISTRY[kind].asynchronous else "sync, defers only"
    if not REGISTRY[kind].has_server:
        return f"{kind} ({abilities}): no server, jobs last as long as the connector."
    if spec is None or configuration.redacted_keywords:
        return ""
    listening = configuration.listening and configuration.listening.spec
    if not _is_address_safe(spec) or (listening and not _is_address_safe(listening)):
        return ""
    server = f"{spec.user}@{_hosts(spec)}/{spec.dbname or spec.user}"
    listens = "; workers poll" if configuration.listen.is_off else ""
    if listening:
        listens = f"; workers listen on {_hosts(listening)}"
    return f"{kind} ({abilities}) to {server}, {_tls(spec)}, {_connections(configuration.pool)}{listens}."


def _is_address_safe(spec: ConnectionSpec) -> bool:
    address = {keyword: value for keyword, value in spec.parameters.items() if keyword in ADDRESS}
    return all(is_safe_to_show(f"connection.{keyword}", value) for keyword, value in address.items())


def _hosts(spec: ConnectionSpec) -> str:
    """Return the hosts with their ports; addresses and sockets in brackets."""
    named = [(host.shown, host.port) for host in hosts(spec.parameters)]
    return ",".join(f"[{n}]:{port}" if re.match("[/@]|.*:", n) else f"{n}:{port}" for n, port in named)


def _tls(spec: ConnectionSpec) -> str:
    if all(host.is_socket for host in hosts(spec.parameters)):
        return "Unix socket"
    return TLS_MODES.get(spec.sslmode or "prefer", f"TLS {spec.sslmode}")


def _connections(pool: PoolOptions) -> str:
    least, most = pool.min_size, pool.max_size
    if pool.null:
        return f"at most {most} connections, none kept" if most else "a connection for every call"
    return counted(most, "connection") if least == most else f"{least}\N{EN DASH}{most} connections"
