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
    equals, start, end = text.find("="), 0, len(text)
    if equals >= 0:
        find = _in_name if all_rules()[problem.code].fault_in == "name" else _in_value
        start, end = find(problem.setting, text, equals)
    fault = text[start:end]
    if equals >= 0 and not fault.strip():
        return equals, equals + 1
    return start + len(fault) - len(fault.lstrip()), start + len(fault.rstrip())


def _in_name(setting: str, text: str, equals: int) -> tuple[int, int]:
    """Find the misspelt part of a name, which can also be a keyword in the value."""
    section, _, last = setting.rpartition(".")
    spelt = last if section.partition(".")[0] in SECTIONS else setting.replace(".", "__")
    for part, start, end in ((spelt, 0, equals), (last, equals + 1, len(text))):
        word = re.compile(rf"(?<![^\W_]){re.escape(part)}(?!\w)", re.IGNORECASE)
        for found in reversed(list(word.finditer(text, start, end))):
            return found.span()
    return 0, equals


def _in_value(setting: str, text: str, equals: int) -> tuple[int, int]:
    """Find the pair of a setting in a value that holds several; otherwise the whole value is at fault."""
    last = setting.rpartition(".")[2]
    if last == "password" and (masked := text.rfind(MASK, equals)) >= 0:
        return masked, masked + len(MASK)
    pair = re.compile(rf"\b{re.escape(last)}\"?\s*[=:]\s*[^\s&,]*").search(text, equals + 1)
    variable = setting_under_any_names(text[:equals].strip().removeprefix("export").strip())
    if pair and variable in ("dsn", "listen.dsn", *SECTIONS, "database_url"):
        return pair.span()
    return equals + 1, len(text)
