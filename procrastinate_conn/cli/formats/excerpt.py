"""The source line of a problem, and the part of it that is at fault."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.origins import ENVIRONMENT, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import MASK
from procrastinate_conn.redaction.lines import redact_env_line, redact_service_line, redact_variable
from procrastinate_conn.setting_names import SECTIONS, setting_under_any_names

_REDACT_LINE = {"variable": redact_env_line, "keyword": redact_service_line}
"""How secrets in a line are redacted, by the syntax of its source."""


class Excerpt(NamedTuple):
    """A source line with secrets masked, and the columns at fault, counted from 0; `end` is exclusive.

    `line` is its number in the file, or None for a variable of the process environment.
    """

    line: int | None
    text: str
    start: int
    end: int


def excerpt(problem: Problem) -> Excerpt | None:
    """Return the line of a problem; None if it has none, or if the line cannot be read again."""
    if problem.origin is None or not (line := _source_line(problem.origin)):
        return None
    # Other characters would move the carets or the cursor.
    text = "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
    return Excerpt(problem.origin.line, text, *_fault(problem, text))


def _source_line(origin: Origin) -> str | None:
    if origin.kind is ENVIRONMENT and origin.name is not None and origin.name in os.environ:
        first, *more = os.environ[origin.name].splitlines() or [""]
        return f"{origin.name}={redact_variable(origin.name, first)}{' ...' if more else ''}"
    redact = _REDACT_LINE.get(origin.kind.syntax or "")
    if origin.file is None or origin.line is None or redact is None:
        return None
    lines = _lines(origin.file)
    return redact(lines[origin.line - 1].rstrip()) if 0 < origin.line <= len(lines) else None


@lru_cache(maxsize=8)
def _lines(file: str) -> list[str]:
    path = Path(file).expanduser()
    if not path.is_file():  # a pipe can be read only once
        return []
    try:
        # python-dotenv and libpq end a line only at these, unlike str.splitlines.
        return re.split(r"\r\n|\n|\r", path.read_text("utf-8-sig", "replace"))
    except OSError:
        return []


def _fault(problem: Problem, text: str) -> tuple[int, int]:
    """Find the part at fault: the name of the setting or its value, as exactly as possible."""
    name, equals, value = text.partition("=")
    start, end = 0, len(text)
    if equals:
        find = _in_name if all_rules()[problem.code].fault_in == "name" else _in_value
        start, end = find(problem.setting, name, value)
    fault = text[start:end]
    if equals and not fault.strip():
        return len(name), len(name) + 1
    return start + len(fault) - len(fault.lstrip()), start + len(fault.rstrip())


def _in_name(setting: str, name: str, value: str) -> tuple[int, int]:
    """Find the misspelt part of a name, which can also be a keyword in the value."""
    section, _, last = setting.rpartition(".")
    spelt = last if section.partition(".")[0] in SECTIONS else setting.replace(".", "__")
    return _last(spelt, name) or _last(last, value, offset=len(name) + 1) or (0, len(name))


def _last(part: str, text: str, offset: int = 0) -> tuple[int, int] | None:
    """Find the last occurrence of `part` as a word of its own, in any case."""
    found = list(re.finditer(rf"(?<![^\W_]){re.escape(part)}(?!\w)", text, re.IGNORECASE))
    return (offset + found[-1].start(), offset + found[-1].end()) if found else None


def _in_value(setting: str, name: str, value: str) -> tuple[int, int]:
    """Find the pair of a setting in a value that holds several; otherwise the whole value is at fault."""
    start, last = len(name) + 1, setting.rpartition(".")[2]
    if last == "password" and (masked := value.rfind(MASK)) >= 0:
        return start + masked, start + masked + len(MASK)
    variable = setting_under_any_names(name.strip().removeprefix("export").strip())
    if variable in ("dsn", "listen.dsn", *SECTIONS, "database_url") and (
        pair := re.search(rf"\b{re.escape(last)}\"?\s*[=:]\s*[^\s&,]*", value)
    ):
        return start + pair.start(), start + pair.end()
    return start, start + len(value)
