"""A configuration as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from procrastinate_conn.cli import resolved
from procrastinate_conn.cli.resolved import Row
from procrastinate_conn.cli.summary import summary
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import Origin
from procrastinate_conn.redaction import format_value
from procrastinate_conn.registry import AS_DOCUMENTED, REGISTRY, ConnectorKind

LONGEST_NAME = 36
"""Columns that are kept for a variable's name, where notes could take them."""

SHARE_OF_VALUES = 3
"""A value may take a third of the width before it is folded: of a list of hosts, for example."""


def tables(configuration: Configuration, width: int, *, everything: bool) -> Group:
    """Return the sentence and the tables.

    Parameters
    ----------
    configuration
        What was resolved.
    width
        Columns of the terminal.
    everything
        Whether they have the libraries' defaults, and what each value overrode.
    """
    kind = configuration.settings.kind
    settings = {
        "connector": resolved.connector(configuration),
        **resolved.others(configuration, everything=everything),
    }
    connection = resolved.connection(configuration, everything=everything)
    pool = resolved.pool(configuration, everything=everything)
    sentence = summary(configuration)
    return Group(
        *[Text(f"{sentence}.")] * bool(sentence),
        table("setting", settings, width, overrides=everything),
        table("connection", connection, width, overrides=everything),
        table("pool", pool, width, overrides=everything, notes=_meanings(kind, pool), about=f"on {kind}"),
    )


def table(
    heading: str,
    rows: Mapping[str, Row],
    width: int,
    *,
    overrides: bool,
    notes: Mapping[str, str] | None = None,
    about: str = "",
) -> Table:
    """Return a table of values and where they are written.

    Parameters
    ----------
    heading
        What the rows are.
    rows
        Name to row.
    width
        Columns of the terminal.
    overrides
        Whether what a value beat stands below it.
    notes
        Something to say of a row, by name; without any, there is no column for them.
    about
        The heading of that column.
    """
    result = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    result.add_column(heading, no_wrap=True)
    result.add_column("value", overflow="fold", max_width=width // SHARE_OF_VALUES)
    result.add_column("from", overflow="fold", min_width=_longest_word(rows) if notes else None)
    if notes:
        result.add_column(about, overflow="fold")
    for name, row in rows.items():
        note = [Text(notes.get(name, ""), "dim")] if notes else []
        result.add_row(Text(name, "bold"), Text(_value(row)), _origin(row.origin), *note)
        for beaten in row.overrides if overrides else ():
            result.add_row("", Text(f"not {_value(beaten)}", "dim"), Text(str(beaten.origin), "dim"))
    return result


def _meanings(kind: ConnectorKind, rows: Mapping[str, Row]) -> dict[str, str]:
    """Return what the options come to on a kind, where that is more than psycopg_pool's documentation."""
    return {name: found.sentence for name in rows if (found := REGISTRY[kind].support(name)) != AS_DOCUMENTED}


def _longest_word(rows: Mapping[str, Row]) -> int:
    words = [word for row in rows.values() for word in str(_origin(row.origin)).split()]
    return min(max(map(len, words), default=0), LONGEST_NAME)


def _value(row: Row) -> str:
    return row.value if isinstance(row.value, str) else format_value(row.value)


def _origin(origin: Origin | None) -> Text:
    """Return where a value is written; dim where nobody wrote it."""
    if origin is None:
        return Text("default", "dim")
    return Text(str(origin), "dim" if origin.source.endswith("default") else "")
