"""A ``.env`` file, read as python-dotenv reads it, with the line of every variable."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from procrastinate_conn.files import expanded, remedy, unreadable
from procrastinate_conn.origins import DOTENV, Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import is_connection_string
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.setting_names import PREFIX, is_setting, setting_of
from procrastinate_conn.sources.base import (
    INVALID_VALUE,
    SHADOWED_SETTING,
    UNREADABLE_FILE,
    Source,
    not_a_file,
)
from procrastinate_conn.sources.variables import read_variables

if TYPE_CHECKING:
    from dotenv.parser import Binding

MALFORMED_LINE = Rule(
    "PC104",
    "line that is not NAME=value",
    "python-dotenv skips such a line, so that what it was meant to state is missing.",
    "Write NAME=value; close every quote.",
    severity="warning",
    example=Example('PGHOST="localhost'),
)

UNDEFINED_VARIABLE = Rule(
    "PC111",
    "reference to a variable that is not defined",
    "python-dotenv puts nothing in its place: a host becomes empty, which is this machine.",
    "Define the variable, or write ${NAME:-default} where it may be absent.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@${DB_HOST}/jobs"),
)

MALFORMED_SETTING = Rule(
    "PC112",
    "setting whose line is not NAME=value",
    "python-dotenv skips such a line, and the connection would be another one than was meant.",
    "Write NAME=value; close every quote.",
    example=Example('PROCRASTINATE_CONN_DSN="postgresql://app@localhost/jobs'),
    fault_in="name",
)


def read_dotenv(
    file: str | Path, *, optional: bool = False, environment: Mapping[str, str] = os.environ
) -> Source:
    """Read one file; ``${NAME}`` is expanded from the lines above it and the environment.

    Parameters
    ----------
    file
        Relative to the working directory; ``~`` is the home directory.
    optional
        Whether the file may be absent.
    environment
        The variables of the process, for ``${NAME}``.
    """
    if is_connection_string(str(file)):
        return Source(DOTENV, problems=(not_a_file("env_file"),))
    try:
        text = expanded(file).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        # A directory is what a container platform makes of a file to mount that is not there.
        return Source(DOTENV) if optional else _unreadable(file, error)
    except (OSError, ValueError) as error:
        return _unreadable(file, error)

    from dotenv.parser import parse_stream  # imported where there is a file to read

    bindings = list(parse_stream(io.StringIO(text)))
    values: dict[str, SourcedValue | None] = {}
    known = dict(environment)
    problems = [*_malformed(file, bindings), *_repeated(file, bindings), *_printed(file, bindings)]
    for binding in bindings:
        if (name := binding.key) is None or _is_printed(binding):
            continue
        origin = Origin("dotenv", name, str(file), _line(binding))
        values.pop(name, None)  # the last line counts, also among those that write the name in another case
        if binding.value is None:
            values[name], known[name] = None, ""  # a name alone unsets what the lines above state
            continue
        sourced, undefined = _expanded(binding.value, known, origin)
        values[name], known[name] = sourced, str(sourced.value)
        problems += undefined
    stated = ((name, str(sourced.value), sourced.origin) for name, sourced in values.items() if sourced)
    source = read_variables(DOTENV, stated)
    return replace(source, problems=(*problems, *source.problems))


def _expanded(value: str, known: Mapping[str, str], origin: Origin) -> tuple[SourcedValue, list[Problem]]:
    """Expand ``${NAME}`` and ``${NAME:-default}`` as python-dotenv does, and report what is not defined."""
    from dotenv.variables import Variable, parse_variables

    atoms = list(parse_variables(value))
    problems = [
        _undefined(atom.name, origin)
        for atom in atoms
        if isinstance(atom, Variable) and atom.default is None and atom.name not in known
    ]
    sourced = SourcedValue("".join(atom.resolve(known) for atom in atoms), origin)
    return sourced, problems if _is_of_interest(origin.name or "") else []


def _undefined(name: str, origin: Origin) -> Problem:
    # What does not look like a variable may be a piece of a password.
    named = f"${{{name}}}" if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name) else "${...}"
    return UNDEFINED_VARIABLE(
        setting_of(origin.name or ""),
        f"{origin.name} refers to {named}, which is not defined: nothing takes its place",
        hint="define it in the environment or on a line above, or write ${NAME:-default}",
        origin=origin,
    )


def _is_of_interest(name: str) -> bool:
    return is_setting(name) or name.upper().startswith("PG")


def _line(binding: Binding) -> int:
    """Return the line of the name; python-dotenv counts from the blank lines above it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")


_SETTING = re.compile(rf"(?!\s*(?:;|//|--))[^=#]*?(?<!\w)({PREFIX}\w+)", re.IGNORECASE)
"""One of our names where a name stands, whatever a shell or another format has before it.

A line that begins as other formats' comments do was not meant to state anything.
"""

_EXAMPLE = "write NAME=value, and close every quote"


def _malformed(file: str | Path, bindings: list[Binding]) -> Iterator[Problem]:
    stated: set[str] = set()
    for binding in bindings:
        name = binding.key or ""
        ours = _SETTING.match(binding.original.string)
        states_nothing = binding.error or binding.value is None or not is_setting(name)
        if states_nothing and ours and name not in stated:
            yield MALFORMED_SETTING(
                setting_of(ours[1]),
                f"the line of {ours[1]} is not NAME=value, and states nothing",
                hint=_EXAMPLE,
                origin=Origin("dotenv", ours[1], str(file), _line(binding)),
            )
        elif binding.error or (binding.value is None and name in stated):
            unsets = "unsets what a line above states" if name in stated else "is ignored"
            yield MALFORMED_LINE(
                "env_file",
                f"this line is not NAME=value and {unsets}",
                hint=_EXAMPLE,
                origin=Origin("dotenv", None, str(file), _line(binding)),
            )
        elif _is_of_interest(name):
            stated.add(name)


def _repeated(file: str | Path, bindings: list[Binding]) -> Iterator[Problem]:
    """Report a variable that a later line states otherwise: the last one counts."""
    last = {_identity(binding.key): binding for binding in bindings if not binding.error}
    for binding in bindings:
        name = binding.key or ""
        if binding.value is None or last[_identity(name)].value in (None, binding.value):
            continue
        if _is_of_interest(name):
            yield SHADOWED_SETTING(
                setting_of(name),
                f"{name} has no effect: line {_line(last[_identity(name)])} states it again",
                hint="remove one of them",
                origin=Origin("dotenv", name, str(file), _line(binding)),
            )


def _printed(file: str | Path, bindings: list[Binding]) -> Iterator[Problem]:
    """Report a value that was copied from a printed page: its quotes would belong to it."""
    for binding in filter(_is_printed, bindings):
        name = str(binding.key)
        yield INVALID_VALUE(
            setting_of(name),
            f"the quotes around the value of {name} are typographic, and would belong to it",
            hint="write them as \" or ', or leave them out",
            origin=Origin("dotenv", name, str(file), _line(binding)),
        )


def _is_printed(binding: Binding) -> bool:
    return _is_of_interest(binding.key or "") and bool(_PRINTED.fullmatch(binding.value or ""))


_PRINTED = re.compile("[\u201c\u201d\u201e\u2018\u2019\u00ab].*[\u201c\u201d\u2018\u2019\u00bb]", re.DOTALL)


def _identity(name: str | None) -> str:
    """Return what two names of the same setting have in common; libpq's variables are as they are written."""
    return name.upper() if name and is_setting(name) else name or ""


def _unreadable(file: str | Path, error: OSError | ValueError) -> Source:
    problem = UNREADABLE_FILE(
        "env_file",
        f"the env file {file} cannot be read: {unreadable(error)}",
        hint=remedy(error, "name a file that exists, relative to the working directory"),
        origin=Origin("dotenv", None, str(file)),
    )
    return Source(DOTENV, problems=(problem,))
