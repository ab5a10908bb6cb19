"""The report of `doctor` as text: a line for each result, with its hint below."""

from __future__ import annotations

from procrastinate_conn.cli.output import Terminal
from procrastinate_conn.doctor.report import DoctorReport, Result, Status
from procrastinate_conn.problems import counted

MARKS: dict[Status, tuple[str, str]] = {
    "pass": ("ok", "green"),
    "warning": ("warn", "yellow"),
    "fail": ("FAIL", "red"),
}
"""Mark and colour of each status."""


def render(report: DoctorReport, terminal: Terminal) -> str:
    """Return the aligned results by host, and a summary."""
    settings = [result for result in report.checks if result.name == "settings"]
    others = [result for result in report.checks if result.name != "settings"]
    width = max((len(result.name) for result in report.results()), default=0)
    lines = [_line(result, width, terminal) for result in settings]
    for host in report.hosts:
        lines += ["", terminal.style(str(host), bold=True)]
        lines += [_line(result, width, terminal) for result in host.checks]
    if others:
        lines += ["", *(_line(result, width, terminal) for result in others)]
    return "\n".join([*lines, "", _summary(report)]).lstrip("\n")


def _line(result: Result, width: int, terminal: Terminal) -> str:
    mark, colour = MARKS[result.status]
    indent = " " * (width + 8)
    text = terminal.wrap(f"{mark:>4}  {result.name:<{width}}  {result.message}", indent)
    if result.hint:
        text += "\n" + terminal.wrap(f"{indent}-> {result.hint}", indent + "   ")
    return terminal.style(text[:4], fg=colour, bold=result.status == "fail") + text[4:]


def _summary(report: DoctorReport) -> str:
    statuses = [result.status for result in report.results()]
    counts = {"failure": statuses.count("fail"), "warning": statuses.count("warning")}
    found = " and ".join(counted(count, noun) for noun, count in counts.items() if count)
    if found:
        return found
    in_order = f"In order: {report.connector}, {counted(len(statuses), 'check')}."
    if not report.not_run:
        return in_order
    return f"{in_order} Not run, as there is nothing to check: {', '.join(report.not_run)}."
