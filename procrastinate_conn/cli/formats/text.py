"""The format ``text``: findings like a compiler's, with the source line and carets under the fault."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.cli.formats.excerpt import Excerpt, excerpt
from procrastinate_conn.cli.formats.report import Finding, Report
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.problems import counted

COLOURS = {"error": "red", "warning": "yellow"}
CONTEXT = 24
"""Columns of a long line that stay visible before the fault."""


def render(report: Report, terminal: Terminal) -> str:
    """Return the findings, and a summary in one line."""
    blocks = ["\n".join(_finding(finding, terminal)) for finding in report.findings()]
    return "\n\n".join([*blocks, _summary(report)])


def _finding(finding: Finding, terminal: Terminal) -> Iterator[str]:
    """Yield the message with its location, the source line, and the hint."""
    problem, location = finding.problem, _location(finding)
    colour = COLOURS[problem.severity]
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
        text, start, end = _window(source, width)
        bar = terminal.style("|", fg="blue")
        carets = terminal.style("^" * max(end - start, 1), fg=colour, bold=True)
        yield f"{terminal.style(number or gutter, fg='blue')} {bar} {text}"
        yield f"{gutter} {bar} {' ' * start}{carets}"
    if problem.hint:
        yield terminal.wrap(f"{gutter} = {problem.hint}", f"{gutter}   ")


def _location(finding: Finding) -> str:
    origin = finding.problem.origin
    if origin is None:
        return finding.place
    if origin.file is None:
        return origin.source
    return origin.file if origin.line is None else f"{origin.file}:{origin.line}"


def _window(source: Excerpt, width: int | None) -> tuple[str, int, int]:
    """Return the text, start and end of the fault, cut to a width around the fault."""
    text, start, end = source.text, source.start, source.end
    if width is None or len(text) <= width:
        return text, start, end
    left = max(0, min(start - min(CONTEXT, width // 3), len(text) - width))
    cut = text[left : left + width]
    if left:
        cut = f"...{cut[3:]}"
    if left + width < len(text):
        cut = f"{cut[:-3]}..."
    return cut, start - left, min(end - left, width)


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
    prefix = first.result.target.prefix
    options = f" --prefix {prefix}" if prefix else ""
    return f"{counts}; `procrastinate-conn rule {first.problem.code}{options}` explains a code."
