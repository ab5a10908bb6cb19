"""The text format: a source line with carets under the fault, and a hint, at any width and in colour."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.checks.running import COMMAND, SECRET, clean_environment, run
from tests.checks.snapshots import assert_equals_snapshot

pytestmark = pytest.mark.subprocess

BROKEN = (
    "# the jobs of the shop\n"
    f"PROCRASTINATE_CONN_DSN=postgresql://app:{SECRET}@db1.example.com:5432,db2.example.com:5432/jobs"
    "?target_session_attrs=primary&connect_timeout=3\n"
    "PROCRASTINATE_CONN_CONNECTOR=psycpg\n"
    "PROCRASTINATE_CONN_POOL__MIN_SZIE=4\n"
    'PROCRASTINATE_CONN_POOL={"max_size": "many", "timeout": "30s"}\n'
    "PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre\n"
    f"PROCRASTINATE_CONN_PASSWORD='{SECRET}' # to be changed\n"
    "PGUSER=jobs\n"
    f"PROCRASTINATE_CONN_CONNECTION__PASSWORD {SECRET}\n"
)
WORKING = (
    "PROCRASTINATE_CONN_CONNECTOR=aiopg\n"
    f"PROCRASTINATE_CONN_DSN=postgresql://app:{SECRET}@db1:5432,db2:5433/jobs?sslmode=verify-full&sslrootcert=system\n"
    "PROCRASTINATE_CONN_CONNECTION__HOST=db3,db4\n"
    "PROCRASTINATE_CONN_POOL__MIN_SIZE=4\n"
    "PROCRASTINATE_CONN_POOL__MAX_SIZE=16\n"
)
EXPLAINED = "`procrastinate-conn rule PC301` explains a code."
DEFAULTS = "only defaults apply."
ENVIRONMENT = {"PGHSOT": "db1", "PGUSER": "ops"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"broken.env": BROKEN, "working.env": WORKING}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("columns", ["80", "140", ""], ids=["80", "140", "any-width"])
@pytest.mark.parametrize(
    "command", ["check broken.env", "show broken.env", "show working.env", "check working.env"]
)
def test_output_equals_snapshot(command: str, columns: str, folder: Path) -> None:
    done = run(folder, *command.split(), environment={**ENVIRONMENT, "COLUMNS": columns})
    assert done.stderr == ""
    assert_equals_snapshot(f"{command.replace(' ', '-')}-{columns or 'any-width'}", done.stdout)


def run_on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the command on a terminal of 80 columns, and return what it shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(folder) | ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "80"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # Linux's way to say that the other side is closed
            pass
        process.wait(timeout=60)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", ["check broken.env", "show working.env"])
def test_output_on_terminal_is_coloured_snapshot(command: str, folder: Path) -> None:
    shown = run_on_terminal(folder, *command.split())
    assert "\x1b[" in shown
    assert_equals_snapshot(f"{command.replace(' ', '-')}-80", re.sub(r"\x1b\[[0-9;]*m", "", shown))


@pytest.mark.parametrize(
    ("command", "option", "environment"),
    [
        ("check broken.env", [], {"NO_COLOR": "1"}),
        ("check broken.env", ["--no-color"], {}),
        ("show working.env", [], {"TERM": "dumb"}),
        ("show working.env", ["--no-color"], {}),
    ],
)
def test_colour_on_terminal_can_be_turned_off(
    command: str, option: list[str], environment: dict[str, str], folder: Path
) -> None:
    shown = run_on_terminal(folder, *command.split(), *option, **environment)
    assert "\x1b" not in shown
    assert_equals_snapshot(f"{command.replace(' ', '-')}-80", shown)


def test_color_option_forces_colour_without_terminal(folder: Path) -> None:
    assert "\x1b[" in run(folder, "check", "broken.env", "--color").stdout


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 140])
def test_source_lines_fit_terminal_width(columns: int, folder: Path) -> None:
    done = run(folder, "check", "broken.env", environment={**ENVIRONMENT, "COLUMNS": str(columns)})
    sources = [line for line in done.stdout.splitlines() if re.match(r" *\d* \|", line)]
    assert len(sources) > 10
    assert max(map(len, sources)) <= columns


def text_above_carets(stdout: str) -> list[tuple[str, str]]:
    """Return, for each finding with a source line, its code and what the carets stand under."""
    found = []
    lines = stdout.splitlines()
    for number, line in enumerate(lines):
        marks = re.fullmatch(r" *\| ( *)(\^+)", line)
        if marks:
            start = marks.start(2)
            code = next(
                re.findall(r"PC\d\d\d", above)[0] for above in lines[number::-1] if "PC" in above[:60]
            )
            found.append((code, lines[number - 1][start : marks.end(2)]))
    return found


def test_carets_mark_fault_of_each_finding(folder: Path) -> None:
    done = run(folder, "check", "broken.env", environment=ENVIRONMENT)
    assert text_above_carets(done.stdout) == [
        ("PC106", "PGHSOT"),
        ("PC107", "psycpg"),
        ("PC301", "MIN_SZIE"),
        ("PC302", 'max_size": "many"'),
        ("PC205", "requre"),
        ("PC101", "PASSWORD"),
        ("PC112", "PROCRASTINATE_CONN_CONNECTION__PASSWORD ********"),
    ]


@pytest.mark.parametrize(
    ("line", "code", "under"),
    [
        ("PROCRASTINATE_CONN_DNS=x", "PC101", "DNS"),
        ("PROCRASTINATE_CONN_POOOL__MIN_SIZE=x", "PC101", "POOOL__MIN_SIZE"),
        ("PROCRASTINATE_CONN_DSN=hots=localhost", "PC204", "hots"),
        ("PROCRASTINATE_CONN_DSN=host=localhost sslmode=requre", "PC205", "sslmode=requre"),
        ("PROCRASTINATE_CONN_DSN=postgresql:///jobs?user=a&sslmode=requre", "PC205", "sslmode=requre"),
        ("export PROCRASTINATE_CONN_CONNECTION__SSLMODE='requre'", "PC205", "'requre'"),
        ("PROCRASTINATE_CONN_CONNECTION__SSLMODE=", "PC205", "="),
        ('PROCRASTINATE_CONN_CONNECTION={"sslmode": "requre"}', "PC205", 'sslmode": "requre"}'),
        ('PROCRASTINATE_CONN_CONNECTION={"hots": "db1"}', "PC204", "hots"),
        ("PROCRASTINATE_CONN_POOL__TIMEOUT = 0", "PC303", "0"),
        ("PROCRASTINATE_CONN_DSN=sqlite:///jobs.db", "PC202", "sqlite:///jobs.db"),
    ],
)
def test_carets_mark_name_or_value_by_rule(line: str, code: str, under: str, folder: Path) -> None:
    (folder / ".env").write_text(f"\n\n{line}\n")
    done = run(folder, "check")
    assert done.stdout.startswith(f".env:3: {code} error: ")
    assert text_above_carets(done.stdout) == [(code, under)]


def test_control_characters_are_replaced(folder: Path) -> None:
    (folder / ".env").write_text("PROCRASTINATE_CONN_CONNECTOR=\x1b[31mred\x07\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", run(folder, "check").stdout)


@pytest.mark.parametrize(
    ("files", "last_line"),
    [
        ([], f"1 warning; {EXPLAINED.replace('301', '113')}"),
        (["good.env"], "In order: good.env."),
        (["good.env", "good2.env"], "In order: 2 configurations."),
        (["other.env", "--isolated"], f"1 warning; {EXPLAINED.replace('301', '113')}"),
        (["misspelt.env"], f"1 error; {EXPLAINED.replace('301', '106')}"),
        (
            ["foreign.env"],
            f"1 warning; {EXPLAINED.replace('301', '203')}",
        ),
        (
            ["undefined.env"],
            f"1 warning; {EXPLAINED.replace('301', '111')}",
        ),
        (["missing.env"], f"1 error; {EXPLAINED.replace('301', '103')}"),
        (["bad.env"], f"1 error; {EXPLAINED}"),
        (
            ["bad.env", "good.env", "warn.env"],
            f"1 error and 2 warnings in 2 of 3 configurations; {EXPLAINED}",
        ),
    ],
)
def test_last_line_is_summary(files: list[str], last_line: str, tmp_path: Path) -> None:
    (tmp_path / "good.env").write_text("PGHOST=localhost\n")
    (tmp_path / "good2.env").write_text("PGHOST=localhost\n")
    (tmp_path / "other.env").write_text("SECRET_KEY=x\n")
    (tmp_path / "misspelt.env").write_text("PROCASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n")
    (tmp_path / "foreign.env").write_text("DATABASE_URL=mysql://app@localhost/jobs\n")
    (tmp_path / "undefined.env").write_text("PROCRASTINATE_CONN_DSN=${UNREACHABLE_HOST}\n")
    (tmp_path / "bad.env").write_text("PROCRASTINATE_CONN_POOL__MIN_SZIE=4\n")
    (tmp_path / "warn.env").write_text("PGHOST=localhost\nPGHSOT=x\nPGPORTT=1\n")
    assert run(tmp_path, "check", *files).stdout.splitlines()[-1] == last_line
