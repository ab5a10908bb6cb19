"""Subclasses of ConnectorSettings type-check as those of any pydantic-settings model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

APPLICATION = Path(__file__).with_name("user_settings.py")


@pytest.mark.subprocess
@pytest.mark.parametrize(
    "checker",
    [["mypy", "--strict"], ["pyright", "--pythonpath", sys.executable]],
    ids=lambda checker: checker[0],
)
def test_what_a_user_writes_type_checks(checker: list[str], tmp_path: Path) -> None:
    shutil.copy(APPLICATION, tmp_path)
    if checker[0] == "pyright":
        options = {"extraPaths": [str(ROOT)], "pythonVersion": "3.11"}
        (tmp_path / "pyrightconfig.json").write_text(json.dumps(options))
    done = subprocess.run(
        [sys.executable, "-m", *checker, APPLICATION.name],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
