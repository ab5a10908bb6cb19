"""Where an exception was raised, for messages about exceptions whose text may hold a secret."""

from __future__ import annotations

import os
import traceback
from pathlib import Path


def raised_at(error: BaseException, frames: int | None = None) -> str:
    """Return the file name and the line, like ``tokens.py:42``, at most `frames` calls below the handler."""
    frame = traceback.extract_tb(error.__traceback__, limit=frames)[-1]
    return f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119 - "<string>" is no path


def user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost frame in a file of the user's own; None if there is none.

    The files of this package, of the standard library and of installed packages are not the user's own. A
    syntax error is in the file that it names.
    """
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(traceback.FrameSummary(error.filename, error.lineno, "<module>"))
    return next((frame for frame in reversed(frames) if _is_users_own(frame.filename)), None)


def raised_in(error: BaseException, package: str) -> str:
    """Return the innermost file and line in a package, like ``jobs/tokens.py:42``; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{relative(error.filename)}:{error.lineno}"
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if f"{frame.f_globals.get('__name__')}.".startswith(f"{package}."):
            return f"{relative(frame.f_code.co_filename)}:{line}"
    return ""


def relative(file: str) -> str:
    """Return a path relative to the working directory if it is in there."""
    path = os.path.relpath(file)
    return file if path.startswith("..") else path


def _is_users_own(file: str) -> bool:
    if file.startswith("<"):
        return False
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    libraries = (Path(__file__).parent, Path(os.__file__).parent)
    return not installed and not any(path.is_relative_to(library) for library in libraries)
