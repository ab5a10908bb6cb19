"""Reads ``[tool.procrastinate-conn]`` in pyproject.toml: what `check` without arguments checks."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from procrastinate_conn.checks.catalogue import all_rules, suggest_code
from procrastinate_conn.checks.runner import PREFIX
from procrastinate_conn.files import status, unreadable
from procrastinate_conn.imports import OBJECT_PATH
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import describe_value, is_connection_string
from procrastinate_conn.similarity import nearest

FILE, TABLE = "pyproject.toml", "procrastinate-conn"

INVALID_PROJECT = Rule(
    "PC115",
    "mistake in [tool.procrastinate-conn] of pyproject.toml",
    "`procrastinate-conn check` would check less than was meant, and pass.",
    "Correct the line that is named. The keys are files, prefixes, settings, select and ignore, each an array"
    " of strings, and strict, a boolean.",
    example=Example(
        files={FILE: f'[tool.{TABLE}]\nfiles = ["settings/production.env"]\n'},
        arguments=(),
        given="there is no file settings/production.env",
    ),
)

_GLOB = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Project:
    """The valid part of the table."""

    file: str | None = None  # the pyproject.toml, relative to the working directory; None without a table
    files: tuple[Path | None, ...] = (None,)  # env files; None for the environment and .env
    prefixes: tuple[str, ...] = ()  # each a configuration of its own in every env file
    settings: Mapping[str, Origin] = field(default_factory=dict)  # paths of objects, and where they are named
    select: tuple[str, ...] = ()  # codes of rules, or their beginnings
    ignore: tuple[str, ...] = ()
    strict: bool = False  # whether warnings are failures
    problems: tuple[Problem, ...] = ()  # the mistakes in it


def read_project() -> Project:
    """Read the table of the nearest pyproject.toml that has one, in the working directory or above it."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = Path(os.path.relpath(folder / FILE))
        try:
            content = file.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            continue
        except OSError as error:
            return _unusable(file, f"{file} cannot be read: {unreadable(error)}")
        if b"procrast" in content.lower() and (project := _read(file, content)):
            return project
    return Project()


def _unusable(file: Path, message: str, *, line: int | None = None, hint: str = "") -> Project:
    origin = Origin(FILE, None, str(file), line)
    return Project(str(file), problems=(INVALID_PROJECT(f"tool.{TABLE}", message, hint=hint, origin=origin),))


def _read(file: Path, content: bytes) -> Project | None:
    """Return the project of a file; None if it has no table of ours, nor one that is meant to be ours."""
    import tomllib  # imported late: most commands read no TOML

    try:
        text = content.decode("utf-8-sig")
        tables = tomllib.loads(text).get("tool", {})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return _malformed(file, content.decode("utf-8", "replace"), error)
    if isinstance(tables, dict) and TABLE in tables:
        return _Reader(file, text.splitlines()).read(tables[TABLE])
    for name in tables if isinstance(tables, dict) else ():
        if nearest(name.replace("_", "-"), [TABLE], cutoff=0.9):
            hint = f"did you mean [tool.{TABLE}]?"
            return _unusable(file, f"[tool.{name}] is not read", line=_line(file, name), hint=hint)
    return None


def _malformed(file: Path, text: str, error: ValueError) -> Project | None:
    """Report a file that is no TOML if it has our table; otherwise it is no concern of ours."""
    if not re.search(rf"tool\s*\.\s*[\"']?{TABLE}", text):
        return None
    if isinstance(error, UnicodeDecodeError):
        line, reason = error.object.count(b"\n", 0, error.start) + 1, unreadable(error)
    else:
        reason, _, place = str(error).partition(" (at ")
        line = int(found[1]) if (found := re.match(r"line (\d+)", place)) else text.count("\n") + 1
    return _unusable(file, f"this is not TOML: {reason}", line=line)


def _line(file: Path, *key: str) -> int | None:
    """Return the line of a table of tools, or of a key in it."""
    from procrastinate_conn.sources.lines import find_line  # imported late: `--help` needs no sources

    return find_line(file, ("tool", *key))


class _Reader:
    """Validates the table, and collects its problems."""

    def __init__(self, file: Path, lines: Sequence[str]) -> None:
        self._file, self._lines = file, lines
        self._problems: list[Problem] = []

    def read(self, table: object) -> Project:
        if not isinstance(table, dict):
            message = f"tool.{TABLE} is {describe_value(table)}, and not a table"
            return _unusable(self._file, message, line=_line(self._file, TABLE))
        for key in table.keys() - _KEYS:
            near = nearest(key.replace("-", "_"), _KEYS)
            hint = f"did you mean {near}?" if near else f"the keys are {', '.join(_KEYS)}"
            self._reject(key, f"there is no key {key}", hint)
        values = {key: tuple(self._elements(table, key)) for key in _ARRAYS}
        strict = table.get("strict", False)
        if not isinstance(strict, bool):
            self._reject("strict", f"strict is {describe_value(strict)}", "write true or false")
        files: tuple[Path | None, ...] = tuple(p for name in values["files"] for p in self._paths(name))
        names_targets = any(table.get(key) for key in ("files", "prefixes", "settings"))
        if not table.get("files") and (values["prefixes"] or not names_targets):
            files = (None,)
        return Project(
            file=str(self._file),
            files=files,
            prefixes=values["prefixes"],
            settings={path: self._origin("settings", path) for path in values["settings"]},
            select=tuple(map(str.upper, values["select"])),
            ignore=tuple(map(str.upper, values["ignore"])),
            strict=strict is True,
            problems=tuple(self._problems),
        )

    def _reject(self, key: str, message: str, hint: str = "", element: object = None) -> None:
        origin = self._origin(key, element)
        self._problems.append(INVALID_PROJECT(f"tool.{TABLE}.{key}", message, hint=hint, origin=origin))

    def _origin(self, key: str, element: object) -> Origin:
        """Return the line of a key, or the first one from there on that has the element."""
        line = _line(self._file, TABLE, key)
        if element is not None:
            start = line or 1
            texts = (f'"{element}"', f"'{element}'") if isinstance(element, str) else (str(element),)
            lines = enumerate(self._lines[start - 1 :], start)
            line = next((n for n, line in lines if any(text in line for text in texts)), start)
        return Origin(FILE, key, str(self._file), line)

    def _elements(self, table: Mapping[str, Any], key: str) -> Iterator[str]:
        """Yield the valid elements of an array."""
        values = table.get(key, [])
        if not isinstance(values, list):
            hint = f'write {key} = ["{values}"]' if isinstance(values, str) else "write strings in brackets"
            self._reject(key, f"{key} is {describe_value(values)}, and not an array", hint)
            return
        for value in values:
            if fault := _element_fault(key, value):
                self._reject(key, *fault, element=value)
            else:
                yield value

    def _paths(self, name: str) -> Iterator[Path]:
        """Yield the files of a name or pattern, which is relative to the folder of pyproject.toml."""
        path = Path(os.path.normpath(self._file.parent / Path(name).expanduser()))
        if status(path) is not None:
            yield path
        elif _GLOB.search(name):
            matches = glob.glob(str(path), recursive=True, include_hidden=True)  # noqa: PTH207 - may be absolute
            found = sorted(match for match in map(Path, matches) if not match.is_dir())
            if not found:
                self._reject("files", f"no file matches {name}", element=name)
            yield from found
        else:
            siblings = path.parent.glob("*") if path.parent.is_dir() else ()
            near = nearest(path.name, (sibling.name for sibling in siblings))
            hint = f"did you mean {os.path.normpath(Path(name).with_name(near))}?" if near else ""
            self._reject("files", f"there is no file {path}", hint, name)


def _element_fault(key: str, value: object) -> tuple[str, str] | None:
    """Return what is wrong with an element of an array, and what to write."""
    if not isinstance(value, str):
        return f"{key} has {describe_value(value)}, and not a string", ""
    match key:
        case "files" if is_connection_string(value):
            return "files has a connection string, and not the name of a file", "write it into an env file"
        case "prefixes" if not PREFIX.fullmatch(value):
            hint = "write letters, digits and _, as in JOBS_"
            return f"{describe_value(value)} is no prefix of a variable", hint
        case "settings" if not re.fullmatch(OBJECT_PATH, value):
            hint = "write a colon before the object, as in app:jobs"
            return f"{describe_value(value)} is not written as package.module:object", hint
        case "select" | "ignore" if not any(value and code.startswith(value.upper()) for code in all_rules()):
            return f"no rule's code begins with {describe_value(value)}", suggest_code(value)
    return None


_ARRAYS = ("files", "prefixes", "settings", "select", "ignore")
_KEYS = (*_ARRAYS, "strict")
