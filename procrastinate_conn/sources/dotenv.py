"""A ``.env`` file, read as python-dotenv reads it, with the line of every variable."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.place import Place
from procrastinate_conn.sources.variables import PREFIX, read_variables

if TYPE_CHECKING:
    from dotenv.parser import Binding


def read_dotenv(file: str | Path, *, optional: bool = False) -> Place:
    """Read one file; ``${NAME}`` is expanded from the lines above it and the process environment.

    Parameters
    ----------
    file
        Relative to the working directory; ``~`` is the home directory.
    optional
        Whether the file may be absent.
    """
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Place("dotenv") if optional else _unreadable(file, "there is no such file")
    except UnicodeDecodeError as error:
        return _unreadable(file, f"byte {error.start} is not UTF-8")
    except OSError as error:
        return _unreadable(file, error.strerror or "it cannot be read")

    # Imported where there is a file to read.
    from dotenv.main import resolve_variables
    from dotenv.parser import parse_stream

    bindings = list(parse_stream(io.StringIO(text)))
    lines = {binding.key: _line(binding) for binding in bindings if binding.key is not None}
    stated = ((b.key, b.value) for b in bindings if b.key is not None and b.value is not None)
    values = resolve_variables(stated, override=True)
    place = read_variables(
        "dotenv",
        (
            (name, value, Origin("dotenv", name, str(file), lines[name]))
            for name, value in values.items()
            if value is not None
        ),
    )
    return replace(place, problems=(*_malformed(file, bindings), *_repeated(file, bindings), *place.problems))


def _line(binding: Binding) -> int:
    """Return the line of the name; python-dotenv counts from the blank lines above it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")


def _malformed(file: str | Path, bindings: list[Binding]) -> Iterator[Problem]:
    for binding in bindings:
        is_bare = binding.value is None and (binding.key or "").upper().startswith(PREFIX)
        if binding.error or is_bare:
            yield rules.MALFORMED_LINE(
                "env_file",
                "this line is not NAME=value and is ignored",
                hint="write NAME=value, and close every quote",
                origin=Origin("dotenv", None, str(file), _line(binding)),
            )


def _repeated(file: str | Path, bindings: list[Binding]) -> Iterator[Problem]:
    """Report a variable that a later line states otherwise: the last one counts."""
    last = {binding.key: binding for binding in bindings if binding.value is not None}
    for binding in bindings:
        name = binding.key or ""
        if binding.value is None or binding.value == last[name].value:
            continue
        if name.upper().startswith((PREFIX, "PG", "DATABASE_URL")):
            yield rules.OVERRIDDEN(
                name.upper().removeprefix(PREFIX).lower().replace("__", "."),
                f"{name} has no effect: line {_line(last[name])} states it again",
                hint="remove one of them",
                origin=Origin("dotenv", name, str(file), _line(binding)),
            )


def _unreadable(file: str | Path, reason: str) -> Place:
    problem = rules.UNREADABLE_FILE(
        "env_file",
        f"the env file {file} cannot be read: {reason}",
        hint="name a file that exists, relative to the working directory",
        origin=Origin("dotenv", None, str(file)),
    )
    return Place("dotenv", problems=(problem,))
