"""What all sources share: their settings as `Source`, and the rules about them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from procrastinate_conn.files import remedy, unreadable
from procrastinate_conn.origins import Origin, SourcedValue, SourceKind
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames, SettingPath

UNKNOWN_SETTING = Rule(
    "PC101",
    "unknown setting",
    "A misspelt setting would be ignored, and the connection would be another one than was meant.",
    "Spell the setting as the documentation does; the hint names the nearest one.",
    example=Example("PROCRASTINATE_CONN_DNS=postgresql://app@localhost/jobs"),
    fault_in="name",
)

NOT_AN_OBJECT = Rule(
    "PC102",
    "section that is not an object",
    "`connection` and `pool` have parts; a bare value sets none of them.",
    "Write a JSON object, or one variable for each part.",
    example=Example("PROCRASTINATE_CONN_CONNECTION=localhost"),
)

UNREADABLE_FILE = Rule(
    "PC103",
    "file that cannot be read",
    "The settings in it would be missing, and defaults would take their place.",
    "Name a file that exists and that the process may read.",
    example=Example(arguments=("prod.env",), given="there is no file prod.env"),
)

INVALID_VALUE = Rule(
    "PC107",
    "value that the setting cannot have",
    "The setting could not be understood.",
    "Use one of the values that the message names.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=psycopg3"),
)

UNREADABLE_SOURCE = Rule(
    "PC116",
    "settings source that cannot be read",
    "A source of pydantic-settings raises an exception, and the settings in it are missing.",
    "Correct the file, or the arguments of the source; the message names its class.",
    example=Example(
        arguments=("--settings", "jobs:Jobs"),
        files={
            "queue.toml": "[pool\nmax_size = 4\n",
            "jobs.py": (
                "from procrastinate_conn import ConnectorSettings\n"
                "from pydantic_settings import SettingsConfigDict, TomlConfigSettingsSource\n\n\n"
                "class Jobs(ConnectorSettings):\n"
                '    model_config = SettingsConfigDict(toml_file="queue.toml")\n\n'
                "    @classmethod\n"
                "    def settings_customise_sources(cls, settings_cls, **sources):\n"
                "        return (TomlConfigSettingsSource(settings_cls),)\n"
            ),
        },
        given="queue.toml has a syntax error",
    ),
)

SHADOWED_SETTING = Rule(
    "PC110",
    "setting without effect",
    "The same file, or other place, sets something that comes first, or a connector without a server: a"
    " change of this value changes nothing.",
    "Remove it, or the other one that the message names. What another place overrides is no mistake.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://db1\nPROCRASTINATE_CONN_CONNECTION__HOST=localhost"),
    fault_in="name",
)


def unreadable_file(
    setting: str, name: str, error: OSError | ValueError | LookupError, origin: Origin, hint: str
) -> Problem:
    """Report a file or directory that cannot be read; some errors have a better hint than the given one."""
    message = f"{name} cannot be read: {unreadable(error)}"
    return UNREADABLE_FILE(setting, message, hint=remedy(error, hint), origin=origin)


def not_a_file(setting: str) -> Problem:
    """Report a connection string that was given for a file's name, without repeating it."""
    message = f"{setting} is a connection string, not the name of a file"
    return UNREADABLE_FILE(setting, message, hint="give it as dsn", origin=Origin("call", setting))


@dataclass(slots=True)
class Source:
    """The settings of one source: filled in while it is read, and not changed afterwards."""

    kind: SourceKind
    settings: dict[SettingPath, SourcedValue] = field(default_factory=dict)
    database_url: SourcedValue | None = None
    variables: dict[str, SourcedValue] = field(default_factory=dict)  # libpq's; an empty one counts as set
    problems: list[Problem] = field(default_factory=list)
    names: SettingNames = DEFAULT_NAMES
    fields: dict[str, SourcedValue] = field(default_factory=dict)  # of an application's own
    place: str = ""  # what a message calls the source
    misspelt: list[Problem] = field(default_factory=list)  # variables that seem to have a wrong prefix
    elsewhere: dict[str, SourcedValue] = field(default_factory=dict)
    """The variables of other programs that may describe a connection."""

    @property
    def dsn(self) -> SourcedValue | None:
        """The setting ``dsn``."""
        return self.settings.get(("dsn",))

    def section(self, name: str) -> dict[str, SourcedValue]:
        """Return the options of a section, ``connection`` or ``pool``, by keyword or option."""
        return {
            path[1]: sourced for path, sourced in self.settings.items() if path[0] == name and len(path) == 2
        }


def shown_names(sources: Iterable[Source]) -> SettingNames:
    """Return the names for messages: those of an application's own prefix if there is one."""
    return next((source.names for source in sources if source.names != DEFAULT_NAMES), DEFAULT_NAMES)


Files = str | Path | Sequence[str | Path] | None
"""One file or directory, several, or none."""


class SourceOptions(NamedTuple):
    """What the sources are read with; a later file or directory overrides an earlier one."""

    arguments: Mapping[str, object] = MappingProxyType({})
    env_file: Files = None
    secrets_dir: Files = None
    environment: Mapping[str, str] = os.environ
    names: SettingNames = DEFAULT_NAMES  # of the variables, and of an application's own fields
    encoding: str | None = None  # of the env files; by default UTF-8
    depth: int = 0  # how many directories above the working directory are searched for an env file


DEFAULT_OPTIONS = SourceOptions()
