"""The settings: their names, their descriptions, and the variables that set them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from procrastinate_conn import libpq

DEFAULT_PREFIX = "PROCRASTINATE_CONN_"
"""The prefix of the variables, unless another is configured."""

SECTIONS = ("connection", "pool", "listen")
"""The settings that consist of options, written ``PROCRASTINATE_CONN_POOL__MIN_SIZE`` or as JSON."""

SECTION_WORDS = {"pool": "null", "listen": "off"}
"""The sections that may be a word instead of options."""

AS_MAPPING: Mapping[str, object] = {}
"""Sentinel: such a section was given as a mapping, and not as its word."""

SETTINGS = {
    "connector": "Which connector to build.",
    "dsn": "URI or keyword/value string, as libpq reads it.",
    "connection": "Single keywords of libpq, which override a DSN in the same source.",
    "pool": "In psycopg_pool's names, for every kind of connector.",
    "listen": "What differs for the connection on which workers listen; `off` lets them poll.",
    "json_dumps": "How task arguments become JSON.",
    "json_loads": "How JSON becomes task arguments.",
    "password_file": "File that the password is read from, anew for each connection.",
    "password_command": "Command that prints the password for new connections, run without a shell;"
    " its output is used for 10 s.",
    "defaults": "Whether timeouts and keepalives for long-lived workers are on, or libpq's own.",
}
"""The settings that can be written as variables, each with its description."""

SettingPath = tuple[str, ...]
"""A setting, step by step: ``("dsn",)``, ``("connection", "host")``."""

LISTEN_DSN: SettingPath = ("listen", "dsn")


class SettingNames(NamedTuple):
    """The names of the variables that set the settings, and what their texts stand for."""

    prefix: str = DEFAULT_PREFIX  # what every variable begins with; may be empty
    delimiter: str | None = "__"  # between a section and its option; None if options can only be JSON
    case_sensitive: bool = False  # a variable is written exactly as ``prefix + setting``, not in any case
    max_split: int | None = None  # how often a name is split at the delimiter at most; None for no limit
    ignore_empty: bool = False  # a variable without text counts as not set
    none_text: str | None = None  # stands for None
    fields: frozenset[str] = frozenset()  # of an application's own
    aliases: frozenset[str] = frozenset()  # of these fields; they have no prefix
    word_separator: str = "_"  # between the words of a name; where there can be no underscores, a dash

    @property
    def own(self) -> frozenset[str]:
        """The names that set a field of an application's own, if they are written without a prefix."""
        return self.fields | self.aliases

    @property
    def is_default(self) -> bool:
        """Whether the prefix is procrastinate-conn's own, which no application shares."""
        return self.prefix.upper() == DEFAULT_PREFIX

    @property
    def database_url(self) -> str:
        """The variable that is the DSN if no other is set: under another prefix, it has that prefix."""
        return "DATABASE_URL" if self.is_default else self.variable(("database_url",))

    def variable(self, path: Sequence[str]) -> str:
        """Return the variable of a setting, given step by step."""
        first, *options = (self._write(part) for part in path)
        name = (self.delimiter or "__").join([self._write(self.prefix) + first, *options])
        return name if self.case_sensitive else name.upper()

    def path(self, variable: str) -> SettingPath | None:
        """Return the setting that a variable sets, known or not; None if it has another prefix."""
        if not self.fold(variable).startswith(self.fold(self._write(self.prefix))):
            return None
        name = variable[len(self.prefix) :]
        name = name if self.case_sensitive else name.lower()
        if not self.delimiter or name in SETTINGS:
            return (name,)
        delimiter = self.delimiter if self.case_sensitive else self.delimiter.lower()
        parts = name.split(delimiter, self.max_split or -1)
        return tuple(part.replace(self.word_separator, "_") for part in parts)

    def is_setting(self, variable: str) -> bool:
        """Tell whether a variable is one of these; not any other name with a shared prefix."""
        path = self.path(variable)
        is_ours = path is not None and (self.is_default or path[0] in SETTINGS)
        return is_ours or self.is_database_url(variable)

    def is_database_url(self, variable: str) -> bool:
        """Tell whether a variable is `database_url`."""
        return self.fold(variable) == self.fold(self.database_url)

    def is_field(self, variable: str) -> bool:
        """Tell whether a variable sets a field of the application's own, or a part of one."""
        folded, delimiter = self.fold(variable), self.delimiter and self.fold(self.delimiter)
        own = (*(self.prefix + field for field in self.fields), *self.aliases)
        names = [self.fold(self._write(name)) for name in own]
        return any(folded == name or (delimiter and folded.startswith(name + delimiter)) for name in names)

    def setting_of(self, variable: str) -> str:
        """Return the dotted path that a variable of ours, or of libpq, sets."""
        if keyword := libpq.variables().get(variable):
            return f"connection.{keyword}"
        return ".".join(self.path(variable) or (variable.lower(),))

    def _write(self, name: str) -> str:
        return name.replace("_", self.word_separator)

    def fold(self, variable: str) -> str:
        """Return a name as it is compared with others."""
        return variable if self.case_sensitive else variable.upper()

    def translate(self, text: str) -> str:
        """Return a text with the variables of the default prefix replaced by these."""
        pattern = rf"\b{DEFAULT_PREFIX}(\w*)"
        text = re.sub(pattern, lambda found: self.variable(found[1].lower().split("__")), text)
        return text if self.is_default else re.sub(r"\bDATABASE_URL\b", self.database_url, text)


DEFAULT_NAMES = SettingNames()
"""The names that hold unless others are configured."""

_ANY_NAMES = (
    # A delimiter that is configured is some characters that are no letters: a variable may end there as well.
    rf"(?i)(?:\w*?_)?(?:({'|'.join(SECTIONS)})(?:[\W_]+(\w+))?|({'|'.join(SETTINGS)}|database_url))"
)


def setting_under_any_names(variable: str) -> str | None:
    """Return the dotted path that a variable seems to set, whatever the prefix and delimiter."""
    if found := re.fullmatch(_ANY_NAMES, variable):
        return ".".join(part for part in found.groups() if part).lower()
    path = DEFAULT_NAMES.path(variable)
    return None if path is None else ".".join(path)
