"""Subclasses of ConnectorSettings type-check as those of any pydantic-settings model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

APPLICATION = """
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from procrastinate_conn import ConnectorSettings


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")
    colour: str = "red"


Jobs()
Jobs(dsn="host=db1")
Jobs(colour="blue", pool={"max_size": 3}, connector="aiopg", connection={"host": "db1"}, password="x")
Jobs(_env_prefix="MAILS_", _env_file=None)


class Application(BaseSettings):
    queue: ConnectorSettings = Field(default_factory=lambda: ConnectorSettings(_env_prefix="MYAPP_QUEUE__"))
    jobs: Jobs = Field(default_factory=Jobs)


application = Application()
size: int = application.queue.pool.max_size
file: Path | None = application.jobs.password_file
text: str = application.jobs.dsn.get_secret_value() if application.jobs.dsn else ""
"""


@pytest.mark.subprocess
def test_subclass_of_the_settings_type_checks_in_strict_mypy(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "application.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
