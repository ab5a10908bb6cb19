"""Settings written into every source, and read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from procrastinate_conn.configuration import Configuration, configure
from procrastinate_conn.resolution.unread import NOTHING_SET
from procrastinate_conn.sources import read_sources


class Written:
    """A working directory, a home and an environment, in which a test writes what it is about."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.patch = patch
        patch.chdir(directory)
        patch.setenv("HOME", str(directory))
        self.call: dict[str, object] = {}
        self.env_files: list[Path] = []
        self.secrets_dirs: list[Path] = []

    def variables(self, **variables: str) -> None:
        """Set variables of the process."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def file(self, name: str, *lines: str) -> Path:
        """Write a file of lines."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def env_file(self, *lines: str, name: str = "project.env") -> None:
        """Write an env file, which overrides those before it."""
        self.env_files.append(self.file(name, *lines))

    def secrets(self, name: str = "secrets", **files: str) -> None:
        """Write a secrets directory, which overrides those before it."""
        for file, value in files.items():
            self.file(f"{name}/{file}", value)
        self.secrets_dirs.append(self.directory / name)

    def read(self) -> Configuration:
        """Resolve everything; that nothing is set at all is no matter here."""
        configuration = configure(read_sources(self.call, self.env_files, self.secrets_dirs))
        problems = tuple(p for p in configuration.problems if p.code != NOTHING_SET.code)
        return configuration._replace(problems=problems)
