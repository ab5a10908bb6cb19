"""Where values come in: every place that settings can be written in, a module each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.dotenv import read_dotenv
from procrastinate_conn.sources.environment import read_environment
from procrastinate_conn.sources.secrets import read_secrets

DEFAULT_ENV_FILE = ".env"
"""The env file that is read where none is named, and that may be absent."""

Files = str | Path | Sequence[str | Path] | None
"""One file or directory, several, or none."""


def read_sources(
    arguments: Mapping[str, object],
    env_file: Files,
    secrets_dir: Files,
    environment: Mapping[str, str] = os.environ,
) -> list[Source]:
    """Read every place that settings are written in.

    Parameters
    ----------
    arguments
        The arguments of the call.
    env_file
        The env files, of which a later one wins.
    secrets_dir
        The secrets directories, of which a later one wins.
    environment
        The variables of the process.

    Returns
    -------
    list of Place
        The nearest first: this is the order of precedence.
    """
    return [
        read_call(arguments),
        read_environment(environment),
        *(
            read_dotenv(file, optional=file == DEFAULT_ENV_FILE, environment=environment)
            for file in reversed(_several(env_file))
        ),
        *(read_secrets(directory) for directory in reversed(_several(secrets_dir))),
    ]


def _several(files: Files) -> list[str | Path]:
    if files is None:
        return []
    return [files] if isinstance(files, str | os.PathLike) else list(files)
