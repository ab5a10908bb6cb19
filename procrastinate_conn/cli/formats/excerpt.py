"""The source line of a problem, and the part of it that is at fault."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.origins import ENVIRONMENT
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import MASK
from procrastinate_conn.redaction.lines import redact_env_line, redact_service_line, redact_variable
from procrastinate_conn.setting_names import PREFIX, SECTIONS


class Excerpt(NamedTuple):
    """A source line with secrets masked, and the columns at fault.

    Parameters
    ----------
    line
        Its number in the file; None for a variable of the process environment.
    text
        The line.
    start, end
        Columns counted from 0; `end` is exclusive.
    """

    line: int | None
    text: str
    start: int
    end: int


def excerpt(problem: Problem) -> Excerpt | None:
    """Return the line of a problem; None if it has none, or if the line cannot be read again."""
    text = _source_line(problem)
    if not text:
        return None
    start, end = _fault(problem, text)
    return Excerpt(problem.origin.line if problem.origin else None, text, start, end)


_REDACT_LINE = {"variable": redact_env_line, "keyword": redact_service_line}
"""How secrets in a line are redacted, by the syntax of its source."""


def _source_line(problem: Problem) -> str | None:
    origin = problem.origin
    if origin is None:
        return None
    if origin.kind is ENVIRONMENT and origin.name is not None and origin.name in os.environ:
        first, *more = os.environ[origin.name].splitlines() or [""]
        return _printable(f"{origin.name}={redact_variable(origin.name, first)}{' ...' if more else ''}")
    redact = _REDACT_LINE.get(origin.kind.syntax or "")
    if origin.file is None or origin.line is None or redact is None:
        return None
    lines = _lines(origin.file)
    if not 0 < origin.line <= len(lines):
        return None
    return _printable(redact(lines[origin.line - 1].rstrip()))


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


def _printable(text: str) -> str:
    """Replace characters that would move the carets or the cursor."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _fault(problem: Problem, text: str) -> tuple[int, int]:
    """Find the part at fault: the name of the setting or its value, as exactly as possible."""
    name, equals, value = text.partition("=")
    if not equals:
        return _stripped(text, 0, len(text))
    find = _in_name if all_rules()[problem.code].fault_in == "name" else _in_value
    start, end = _stripped(text, *find(problem.setting, name, value))
    return (start, end) if start < end else (len(name), len(name) + 1)


def _in_name(setting: str, name: str, value: str) -> tuple[int, int]:
    """Find the misspelt part of a name, which can also be a keyword in the value."""
    section, _, last = setting.rpartition(".")
    spelt = last if section.partition(".")[0] in SECTIONS else setting.replace(".", "__")
    return _last(spelt, name) or _last(last, value, offset=len(name) + 1) or (0, len(name))


def _in_value(setting: str, name: str, value: str) -> tuple[int, int]:
    """Find the pair of a setting in a value that holds several; otherwise the whole value is at fault."""
    start, last = len(name) + 1, setting.rpartition(".")[2]
    if last == "password" and (masked := value.rfind(MASK)) >= 0:
        return start + masked, start + masked + len(MASK)
    if _is_compound(name) and (pair := re.search(rf"\b{re.escape(last)}\"?\s*[=:]\s*[^\s&,]*", value)):
        return start + pair.start(), start + pair.end()
    return start, start + len(value)


def _is_compound(name: str) -> bool:
    """Return whether a variable can hold more than one setting."""
    setting = name.strip().upper().removeprefix(PREFIX)
    return setting in ("DSN", "CONNECTION", "POOL", "DATABASE_URL")


def _last(part: str, text: str, offset: int = 0) -> tuple[int, int] | None:
    """Find the last occurrence of `part` as a word of its own, in any case."""
    found = list(re.finditer(rf"(?<![^\W_]){re.escape(part)}(?!\w)", text, re.IGNORECASE))
    return (offset + found[-1].start(), offset + found[-1].end()) if found else None


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
