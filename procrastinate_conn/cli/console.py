"""Rich's console, for the commands that print tables."""

from __future__ import annotations

from rich.console import Console

from procrastinate_conn.cli.terminal import Terminal

NO_TERMINAL = 120
"""Columns of a table where there is no terminal to tell."""


def console(where: Terminal) -> Console:
    """Return a console on standard output.

    Parameters
    ----------
    where
        What standard output is.
    """
    return Console(
        width=where.width or NO_TERMINAL,
        force_terminal=where.colour,
        no_color=not where.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
