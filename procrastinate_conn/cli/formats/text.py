"""The format ``text``: findings like a compiler's, with the source line and carets under the fault."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.cli.formats import Finding, Report
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.origins import ENVIRONMENT, Origin
from procrastinate_conn.problems import Problem, counted
from procrastinate_conn.redaction import MASK
from procrastinate_conn.redaction.lines import redact_env_line, redact_service_line, redact_variable
from procrastinate_conn.setting_names import SECTIONS, setting_under_any_names

COLOURS = {"error": "red", "warning": "yellow"}
CONTEXT = 24
"""Columns of a long line that stay visible before the fault."""

_REDACT_LINE = {"variable": redact_env_line, "keyword": redact_service_line}
"""How secrets in a line are redacted, by the syntax of its source."""


def render(report: Report, terminal: Terminal) -> str:
    """Return the findings, and a summary in one line."""
    blocks = ["\n".join(_finding(finding, terminal)) for finding in report.findings()]
    return "\n\n".join([*blocks, _summary(report)])


def _finding(finding: Finding, terminal: Terminal) -> Iterator[str]:
    """Yield the message with its location, the source line, and the hint."""
    problem, colour = finding.problem, COLOURS[finding.problem.severity]
    location = (problem.origin.file or problem.origin.source) if problem.origin else finding.place
    if problem.origin and problem.origin.file and problem.origin.line is not None:
        location += f":{problem.origin.line}"
    code = terminal.style(problem.code, fg=colour)
    severity = terminal.style(problem.severity, fg=colour, bold=True)
    heading = f"{location}: {problem.code} {problem.severity}: "
    styled_heading = f"{terminal.style(location, bold=True)}: {code} {severity}: "
    yield terminal.wrap(heading + problem.message, "    ").replace(heading, styled_heading, 1)
    source = excerpt(problem)
    number = str(source.line) if source and source.line else ""
    gutter = " " * max(len(number), 1)
    if source:
        width = None if terminal.width is None else terminal.width - len(gutter) - 3
        shown = source if width is None or len(source.text) <= width else _cut(source, width)
        bar = terminal.style("|", fg="blue")
        carets = terminal.style("^" * max(shown.end - shown.start, 1), fg=colour, bold=True)
        yield f"{terminal.style(number or gutter, fg='blue')} {bar} {shown.text}"
        yield f"{gutter} {bar} {' ' * shown.start}{carets}"
    if problem.hint:
        yield terminal.wrap(f"{gutter} = {problem.hint}", f"{gutter}   ")


def _cut(source: Excerpt, width: int) -> Excerpt:
    """Return the part of a long line that is around the fault."""
    left = max(0, min(source.start - min(CONTEXT, width // 3), len(source.text) - width))
    text = source.text[left : left + width]
    if left:
        text = f"...{text[3:]}"
    if left + width < len(source.text):
        text = f"{text[:-3]}..."
    return Excerpt(source.line, text, source.start - left, min(source.end - left, width))


def _summary(report: Report) -> str:
    findings = report.findings()
    names = [result.target.name for result in report.results]
    if not findings:
        return f"In order: {names[0] if len(names) == 1 else counted(len(names), 'configuration')}."
    severities = [finding.problem.severity for finding in findings]
    counts = " and ".join(counted(severities.count(s), s) for s in COLOURS if s in severities)
    if len(names) > 1:
        affected = sum(bool(result.problems) for result in report.results)
        counts += f" in {affected} of {len(names)} configurations"
    first = next((f for f in findings if f.problem.severity == "error"), findings[0])
    prefix = first.target.prefix
    options = f" --prefix {prefix}" if prefix else ""
    return f"{counts}; `procrastinate-conn rule {first.problem.code}{options}` explains a code."


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
