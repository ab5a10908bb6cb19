"""Where output goes: whether it shows colours, and how wide it is."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where output goes.

    Parameters
    ----------
    colour
        Whether it shows colours.
    width
        Columns; None where lines may have any length, as in a file or the log of a CI run.
    """

    colour: bool = False
    width: int | None = None


def standard_output(colour: bool | None) -> Terminal:
    """Tell what standard output is.

    Parameters
    ----------
    colour
        What the user asked for; None leaves it to the terminal and ``NO_COLOR``.
    """
    is_terminal = sys.stdout.isatty()
    if colour is None:
        colour = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size().columns if is_terminal or os.environ.get("COLUMNS") else None
    return Terminal(colour, width)
