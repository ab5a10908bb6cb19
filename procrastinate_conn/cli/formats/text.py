"""The format ``text``: findings as a compiler prints them, with the line and a caret under the fault."""

from __future__ import annotations

from procrastinate_conn.cli.excerpt import Excerpt, excerpt
from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.cli.report import Finding, Report
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem, counted

COLOURS = {"error": "red", "warning": "yellow"}
MARGIN = 24
"""Columns that stay visible on either side of the fault, where a line is too long for the terminal."""


def render(report: Report, terminal: Terminal) -> str:
    """Return the findings, and one line that sums them up."""
    findings = report.findings()
    blocks = [render_finding(finding, terminal) for finding in findings]
    return "\n\n".join([*blocks, _summary(report, [finding.problem for finding in findings])])


def render_finding(finding: Finding, terminal: Terminal) -> str:
    """Return one finding: where, what, the line, and what to do.

    Parameters
    ----------
    finding
        The finding.
    terminal
        Where it is printed.
    """
    problem = finding.problem
    place = _place(problem.origin, finding.configuration)
    head = f"{place}: {problem.code} {problem.severity}: "
    sentence = terminal.wrap(f"{head}{problem.message}", "    ")
    lines = [sentence.replace(head, _painted_head(place, problem, terminal), 1)]
    shown = excerpt(problem)
    if shown:
        lines += _source(shown, terminal, COLOURS[problem.severity])
    if problem.hint:
        gutter = " " * _gutter(shown)
        lines.append(terminal.wrap(f"{gutter} = {problem.hint}", gutter + "   "))
    return "\n".join(lines)


def _place(origin: Origin | None, configuration: str | None) -> str:
    """Return the file and line, or the kind of place where there is no file."""
    if origin is None:
        return configuration or "environment"
    if origin.file is None:
        return origin.source
    return origin.file if origin.line is None else f"{origin.file}:{origin.line}"


def _painted_head(place: str, problem: Problem, terminal: Terminal) -> str:
    colour = COLOURS[problem.severity]
    code = terminal.style(problem.code, fg=colour)
    severity = terminal.style(problem.severity, fg=colour, bold=True)
    return f"{terminal.style(place, bold=True)}: {code} {severity}: "


def _source(shown: Excerpt, terminal: Terminal, colour: str) -> list[str]:
    gutter = _gutter(shown)
    text, start, end = shown.text, shown.start, shown.end
    if terminal.width is not None:
        text, start, end = _window(text, start, end, terminal.width - gutter - 3)
    number = "" if shown.line is None else str(shown.line)
    bar = terminal.style("|", fg="blue")
    carets = terminal.style("^" * max(end - start, 1), fg=colour, bold=True)
    return [
        f"{terminal.style(number.rjust(gutter), fg='blue')} {bar} {text}",
        f"{' ' * gutter} {bar} {' ' * start}{carets}",
    ]


def _gutter(shown: Excerpt | None) -> int:
    return len(str(shown.line)) if shown and shown.line else 1


def _window(text: str, start: int, end: int, width: int) -> tuple[str, int, int]:
    """Cut a line that is too long to the part around its fault."""
    if len(text) <= width:
        return text, start, end
    left = max(0, min(start - min(MARGIN, width // 3), len(text) - width))
    cut = text[left : left + width]
    if left:
        cut = f"...{cut[3:]}"
    if left + width < len(text):
        cut = f"{cut[:-3]}..."
    return cut, start - left, min(end - left, width)


def _summary(report: Report, problems: list[Problem]) -> str:
    checked = report.configurations
    names = [c.file or "the environment and .env" for c in checked]
    empty = [name for name, c in zip(names, checked, strict=True) if c.says_nothing]
    noted = f" Nothing is stated in {', '.join(empty)}: all of it is left to defaults." if empty else ""
    if not problems:
        return f"In order: {names[0] if len(names) == 1 else counted(len(names), 'configuration')}.{noted}"
    counts = [counted(sum(p.severity == s for p in problems), s) for s in COLOURS]
    found = " and ".join(count for count in counts if not count.startswith("0 "))
    affected = sum(bool(c.problems) for c in checked)
    where = f" in {affected} of {len(checked)} configurations" if len(checked) > 1 else ""
    first = next((p.code for p in problems if p.severity == "error"), problems[0].code)
    return f"{found}{where}; `procrastinate-conn rule {first}` explains a code.{noted}"
