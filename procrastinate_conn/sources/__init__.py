"""Every source of settings, a module each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.dotenv import read_dotenv
from procrastinate_conn.sources.environment import read_environment
from procrastinate_conn.sources.secrets import read_secrets

DEFAULT_ENV_FILE = ".env"
"""The env file that is read by default; it may be absent."""

Files = str | Path | Sequence[str | Path] | None
"""One file or directory, several, or none."""


def read_sources(
    arguments: Mapping[str, object],
    env_file: Files,
    secrets_dir: Files,
    environment: Mapping[str, str] = os.environ,
    names: SettingNames = DEFAULT_NAMES,
) -> list[Source]:
    """Read all sources; they are returned by precedence, highest first.

    Parameters
    ----------
    arguments
        The arguments of the call.
    env_file
        The env files; a later one overrides an earlier one.
    secrets_dir
        The secrets directories; a later one overrides an earlier one.
    environment
        The variables of the process.
    names
        The names of the variables.
    """
    return [
        read_call(arguments),
        read_environment(environment, names),
        *(
            read_dotenv(file, optional=file == DEFAULT_ENV_FILE, environment=environment, names=names)
            for file in reversed(as_list(env_file))
        ),
        *(read_secrets(directory, names) for directory in reversed(as_list(secrets_dir))),
    ]


def as_list(files: Files) -> list[str | Path]:
    """Return one file, several or none as a list."""
    if files is None:
        return []
    return [files] if isinstance(files, str | os.PathLike) else list(files)
