"""The line of a key in a TOML, YAML or JSON file, found without the parser that read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

Key = tuple[str, ...]

_TOML_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_TOML_KEY = rf"\s*({_TOML_PART}(?:\s*\.\s*{_TOML_PART})*)\s*="
_TOML_TABLE = rf"\s*\[\[?\s*({_TOML_PART}(?:\s*\.\s*{_TOML_PART})*)\s*\]"
_YAML_KEY = r"""(?P<indent>\s*)(?P<key>"[^"]*"|'[^']*'|[\w.-]+)\s*:(?:\s|$)"""
_JSON_PART = r'"(?P<text>(?:[^"\\]|\\.)*)"(?P<colon>\s*:)?|[\[{\]}]'


def find_line(file: Path, key: Sequence[str], header: int = 0) -> int | None:
    """Return the line of a key, or of the innermost table around it, counted from 1; None if it is not found.

    The first `header` parts of the key are the tables around all settings, which are no place of one.
    """
    try:
        text = file.read_text("utf-8-sig", "replace")
    except (OSError, ValueError):
        return None
    keys = {".toml": _toml, ".json": _json}.get(file.suffix.lower(), _yaml)
    matches = ((len(found), line) for found, line in keys(text) if tuple(key[: len(found)]) == found)
    depth, line = max(matches, key=itemgetter(0), default=(0, None))
    return line if depth > header else None


def _toml(text: str) -> Iterator[tuple[Key, int]]:
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(_TOML_TABLE, line):
            table = _parts(header[1])
            yield table, number
        elif found := re.match(_TOML_KEY, line):
            yield table + _parts(found[1]), number


def _parts(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in re.findall(_TOML_PART, dotted))


def _yaml(text: str) -> Iterator[tuple[Key, int]]:
    above: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if found := re.match(_YAML_KEY, line):
            indent = len(found["indent"])
            above = [(column, key) for column, key in above if column < indent]
            above.append((indent, found["key"].strip("\"'")))
            yield tuple(key for _, key in above), number


def _json(text: str) -> Iterator[tuple[Key, int]]:
    above: list[str] = []
    last = ""
    for found in re.finditer(_JSON_PART, text):
        if found["colon"]:
            last = found["text"]
            yield (*above[1:], last), text.count("\n", 0, found.start()) + 1
        elif found[0] in "[{":
            above.append(last)
            last = ""
        elif found[0] in "]}" and above:
            above.pop()
