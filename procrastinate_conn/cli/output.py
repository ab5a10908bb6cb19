"""Standard output: its width and colour, wrapping, and printing."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # imported only to print tables: Rich is slow to import
    from rich.console import Console

DEFAULT_TABLE_WIDTH = 120
"""Columns of a table if standard output is not a terminal."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What text is formatted for."""

    colour: bool = False  # whether to use colours
    width: int | None = None  # in columns; None if lines may have any length, as in a file or a CI log

    def style(self, text: str, *, fg: str | None = None, bold: bool = False) -> str:
        """Style a text if colours are used."""
        return typer.style(text, fg=fg, bold=bold) if self.colour else text

    def wrap(self, text: str, indent: str) -> str:
        """Wrap a text at the width, and indent all lines but the first."""
        if self.width is None:
            return text
        return textwrap.fill(
            text, self.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )

    def print(self, text: str) -> None:
        """Print a text; nothing at all if it is empty."""
        if text:
            typer.echo(text, color=self.colour)

    def console(self) -> Console:
        """Return Rich's console, for tables."""
        from rich.console import Console

        return Console(
            width=self.width or DEFAULT_TABLE_WIDTH,
            force_terminal=self.colour,
            no_color=not self.colour,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )


def standard_output(colour: bool | None) -> Terminal:
    """Return the properties of standard output; `colour` overrides the terminal's and ``NO_COLOR``."""
    is_terminal = sys.stdout.isatty()
    if colour is None:
        colour = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size().columns if is_terminal or os.environ.get("COLUMNS") else None
    return Terminal(colour, width)
