"""Every source of settings, a module each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Files, Source, SourceOptions
from procrastinate_conn.sources.dotenv import is_there, read_dotenv
from procrastinate_conn.sources.secrets import read_secrets
from procrastinate_conn.sources.variables import read_environment

DEFAULT_ENV_FILE = ".env"
"""The env file that is read by default; it may be absent."""


def _read_env_files(options: SourceOptions) -> Iterable[Source]:
    """Read the files; of several, as in pydantic-settings, one that is absent beside another is no error."""
    files = _as_list(options.env_file)
    optional = DEFAULT_ENV_FILE in files or any(is_there(file, options.depth) for file in files)
    return [read_dotenv(file, options, optional=optional) for file in reversed(files)]


SOURCES: dict[str, Callable[[SourceOptions], Iterable[Source]]] = {
    "init_settings": lambda options: [read_call(options.arguments, options.names.own)],
    "env_settings": lambda options: [read_environment(options.environment, options.names)],
    "dotenv_settings": _read_env_files,
    "file_secret_settings": lambda options: [
        read_secrets(directory, options.names) for directory in reversed(_as_list(options.secrets_dir))
    ],
}
"""The sources by precedence, highest first, named as in pydantic-settings' `settings_customise_sources`.

`make_connector`, the commands and `ConnectorSettings` all read these.
"""


def read_sources(
    arguments: Mapping[str, object],
    env_file: Files,
    secrets_dir: Files,
    environment: Mapping[str, str] = os.environ,
    names: SettingNames = DEFAULT_NAMES,
) -> list[Source]:
    """Read all sources with these `SourceOptions`; they are returned by precedence, highest first."""
    options = SourceOptions(arguments, env_file, secrets_dir, environment, names)
    return [source for read in SOURCES.values() for source in read(options)]


def _as_list(files: Files) -> list[str | Path]:
    if files is None:
        return []
    return [files] if isinstance(files, str | os.PathLike) else list(files)
