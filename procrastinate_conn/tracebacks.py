"""Where an exception was raised, for messages about exceptions whose text may hold a secret."""

from __future__ import annotations

import os
import traceback


def raised_at(error: BaseException, frames: int | None = None) -> str:
    """Return the file name and the line, like ``tokens.py:42``.

    Parameters
    ----------
    error
        The exception, caught.
    frames
        How many calls to follow from the handler; by default all.
    """
    frame = traceback.extract_tb(error.__traceback__, limit=frames)[-1]
    return f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119 - "<string>" is no path
