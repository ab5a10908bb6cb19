"""The line that a problem is about, and what in it is at fault."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.masking import masked_service_line, masked_value, masked_variable
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import MASK
from procrastinate_conn.setting_names import PREFIX, SECTIONS


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A source line, secrets masked.

    Parameters
    ----------
    line
        Its number in the file; None for a variable of the process environment.
    text
        The line.
    start, end
        The columns that are at fault, counted from 0.
    """

    line: int | None
    text: str
    start: int
    end: int


def excerpt(problem: Problem) -> Excerpt | None:
    """Return the line that a problem is about; None where it is about no line.

    Parameters
    ----------
    problem
        Its origin tells the file and the line, or the variable.
    """
    text = _source_line(problem)
    if not text:
        return None
    start, end = _fault(problem, text)
    return Excerpt(problem.origin.line if problem.origin else None, text, start, end)


def _source_line(problem: Problem) -> str | None:
    origin = problem.origin
    if origin is None:
        return None
    if origin.source == "environment" and origin.name is not None and origin.name in os.environ:
        first, *more = os.environ[origin.name].splitlines() or [""]
        return _printable(f"{origin.name}={masked_value(origin.name, first)}{' ...' if more else ''}")
    if origin.file is None or origin.line is None or origin.source not in ("dotenv", "service-file"):
        return None
    lines = _lines(origin.file)
    if not 0 < origin.line <= len(lines):
        return None
    masked = masked_variable if origin.source == "dotenv" else masked_service_line
    return _printable(masked(lines[origin.line - 1].rstrip()))


@lru_cache(maxsize=8)
def _lines(file: str) -> list[str]:
    path = Path(file).expanduser()
    if not path.is_file():  # a pipe has been read already
        return []
    try:
        # python-dotenv and libpq end a line at these alone, unlike str.splitlines.
        return re.split(r"\r\n|\n|\r", path.read_text("utf-8-sig", "replace"))
    except OSError:
        return []


def _printable(text: str) -> str:
    """Replace what would move the caret, or the cursor."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _fault(problem: Problem, text: str) -> tuple[int, int]:
    """Find what is at fault: the setting's name, or its value, as exactly as the line allows."""
    name, equals, value = text.partition("=")
    if not equals:
        return _stripped(text, 0, len(text))
    in_name = all_rules()[problem.code].fault_in == "name"
    start, end = (
        _in_name(problem.setting, name, value) if in_name else _in_value(problem.setting, name, value)
    )
    return _stripped(text, start, end) if text[start:end].strip() else (len(name), len(name) + 1)


def _in_name(setting: str, name: str, value: str) -> tuple[int, int]:
    """Find the part of a name that is at fault; it may be that of a keyword, in the value."""
    last = setting.rpartition(".")[2]
    is_known = setting.startswith(tuple(f"{section}." for section in SECTIONS))
    spelt = last if is_known else setting.replace(".", "__")
    return _last(spelt, name) or _last(last, value, offset=len(name) + 1) or (0, len(name))


def _in_value(setting: str, name: str, value: str) -> tuple[int, int]:
    """Find the part of a value that is at fault; of one that is a single setting's, it is all of it."""
    start, last = len(name) + 1, setting.rpartition(".")[2]
    if last == "password" and (masked := value.rfind(MASK)) >= 0:
        return start + masked, start + masked + len(MASK)
    if _is_compound(name) and (pair := re.search(rf"\b{re.escape(last)}\"?\s*[=:]\s*[^\s&,]*", value)):
        return start + pair.start(), start + pair.end()
    return start, start + len(value)


def _is_compound(name: str) -> bool:
    """Tell whether a variable holds more than one setting."""
    setting = name.strip().upper().removeprefix(PREFIX)
    return setting in ("DSN", "CONNECTION", "POOL", "DATABASE_URL")


def _last(part: str, text: str, offset: int = 0) -> tuple[int, int] | None:
    """Return where `part` last stands in `text` as a word of its own, in any case."""
    found = list(re.finditer(rf"(?<![^\W_]){re.escape(part)}(?!\w)", text, re.IGNORECASE))
    return (offset + found[-1].start(), offset + found[-1].end()) if found else None


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
