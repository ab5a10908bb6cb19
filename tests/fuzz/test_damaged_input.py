"""Damaged files and variables end in findings or in ConfigurationError, and never in another error.

A run of the suite has one round; ``make damage`` runs rounds for an hour, or ``DAMAGE_MINUTES``.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import traceback
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from pathlib import Path
from time import monotonic
from unittest import mock

import pytest

from procrastinate_conn import ConfigurationError, ConnectorKind, make_connector
from procrastinate_conn.cli import main
from tests.fuzz.damage import damaged, originals

MINUTES = float(os.environ.get("DAMAGE_MINUTES", "0"))
SEED = os.environ.get("DAMAGE_SEED") or os.urandom(8).hex()
ROUND = 25
"""Configurations in a round."""

ORIGINALS = originals()
COMMANDS = [
    *(["check", "--format", output] for output in ("text", "json", "github", "gitlab", "sarif")),
    *(["show", "--all", "--format", output] for output in ("text", "json")),
]
VARIABLES = (
    *(
        "CONNECTOR",
        "DSN",
        "CONNECTION",
        "POOL",
        "JSON_DUMPS",
        "PASSWORD_FILE",
        "PASSWORD_COMMAND",
        "DEFAULTS",
    ),
    *("CONNECTION__PORT", "CONNECTION__OPTIONS", "CONNECTION__SSLMODE", "CONNECTION__PASSFILE"),
    *("POOL__MIN_SIZE", "POOL__TIMEOUT", "POOL__CONFIGURE", "POOL__NAME", "POOL__MAX_IDLE"),
)


@pytest.mark.timeout(MINUTES * 60 + 300)
@pytest.mark.parametrize("part", range(os.cpu_count() or 1))
def test_damaged_input_ends_in_findings(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = monotonic() + MINUTES * 60
    for number in count():
        seed = f"{SEED}-{part}-{number}"
        with monkeypatch.context() as patch:
            folder = tmp_path / str(number)
            lay_out(folder, patch, random.Random(seed))
            try:
                read(random.Random(seed))
            except Exception:  # noqa: BLE001 - for any error, the failure says how to repeat it
                where = f"DAMAGE_SEED={SEED}, part {part}, number {number}, {folder}"
                pytest.fail(f"{where}\n{traceback.format_exc()}", pytrace=False)
        shutil.rmtree(folder)  # in an hour there are many of them
        if number + 1 >= ROUND and monotonic() >= end:
            return


def lay_out(folder: Path, patch: pytest.MonkeyPatch, chance: random.Random) -> None:
    """Write damaged files, and damage the environment."""

    def some(kind: str) -> bytes:
        return damaged(chance.choice(ORIGINALS[kind]), chance)

    (folder / "secrets").mkdir(parents=True)
    files = {".env": "env", "service.conf": "service", ".pgpass": "password", "hidden": "password"}
    for name, kind in files.items():
        (folder / name).write_bytes(some(kind))
        (folder / name).chmod(chance.choice((0o600, 0o644)))
    for name in chance.sample(VARIABLES, 2):
        (folder / "secrets" / f"procrastinate_conn_{name.lower()}").write_bytes(some("value"))
    patch.chdir(folder)
    patch.setenv("HOME", str(folder))
    patch.setenv("PGSYSCONFDIR", str(folder))
    patch.setenv("PGSERVICEFILE", chance.choice(("service.conf", "hidden", "nowhere")))
    names = [f"PROCRASTINATE_CONN_{name}" for name in VARIABLES] + ["DATABASE_URL", "PGSERVICE", "PGPORT"]
    for name in chance.sample(names, chance.randint(0, 4)):
        patch.setenv(name, os.fsdecode(some("value").replace(b"\0", b"")))


def read(chance: random.Random) -> None:
    """Read everything, with two of the commands and with the library."""
    for arguments in chance.sample(COMMANDS, 2):
        status, printed = run([*arguments, "--secrets-dir", "secrets", "--color"])
        assert status in (0, 1), f"{arguments} ended with {status}:\n{printed}"
    try:
        make_connector(chance.choice([None, *ConnectorKind]), secrets_dir="secrets")
    except ConfigurationError as error:
        assert all(problem.code in str(error) for problem in error.problems)  # noqa: PT017 - both are expected


def run(arguments: list[str]) -> tuple[int, str]:
    """Run the command in this process, and return its exit status with what it printed."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    try:
        with (
            redirect_stdout(output),
            redirect_stderr(output),
            mock.patch("sys.argv", ["procrastinate-conn", *arguments]),
        ):
            main()
    except SystemExit as end:
        status = end.code
    else:
        status = 0
    printed = output.buffer.getvalue().decode()
    return int(status or 0), printed
