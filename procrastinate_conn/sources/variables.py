"""Settings that are written as variables: those of the process environment, or of any other source."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from procrastinate_conn import suggestions
from procrastinate_conn.artifacts import as_seen, find_deceptive, hint_for
from procrastinate_conn.origins import ENVIRONMENT, Origin, SourcedValue, SourceKind
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.setting_names import (
    AS_MAPPING,
    DEFAULT_NAMES,
    LISTEN_DSN,
    SECTION_WORDS,
    SECTIONS,
    SETTINGS,
    SettingNames,
    SettingPath,
)
from procrastinate_conn.sources.base import NOT_AN_OBJECT, UNKNOWN_SETTING, Source

LIKELY_MISSPELT_VARIABLE = Rule(
    "PC106",
    "variable that looks like one of libpq's, or of procrastinate-conn's",
    "Nothing reads a variable of that name, and a default takes its place.",
    "Spell the variable as the hint does.",
    severity="warning",
    example=Example("PGHSOT=localhost"),
    fault_in="name",
)


LIBPQ_ALONE = "the values given and libpq's variables; nested settings and model_validate() read nothing else"
"""The place of a source of libpq's variables, in a message that nothing is set."""


def read_variables(
    kind: SourceKind,
    variables: Iterable[tuple[str, str, Origin]],
    names: SettingNames = DEFAULT_NAMES,
    place: str = "",
) -> Source:
    """Sort the variables of a source: settings, libpq's variables, ``DATABASE_URL``.

    Each has a name, a value and an origin; a later one replaces an earlier one of the same name.
    """
    read = _Variables(names)
    for name, value, origin in variables:
        read.add(name, value, origin)
    return Source(
        kind,
        {**read.sections, **read.settings},
        read.database_url,
        read.libpq,
        tuple(read.problems),
        names,
        read.fields,
        place,
        tuple(read.misspelt),
        read.elsewhere,
    )


def read_environment(environment: Mapping[str, str], names: SettingNames = DEFAULT_NAMES) -> Source:
    """Read the variables of a process, such as ``os.environ``."""
    variables = ((name, value, Origin("environment", name)) for name, value in environment.items())
    return read_variables(ENVIRONMENT, variables, names, place="the environment")


def read_libpq_variables() -> Source:
    """Read libpq's own variables of this process, and no settings."""
    source = read_environment({name: value for name, value in os.environ.items() if name.startswith("PG")})
    return source._replace(place=LIBPQ_ALONE, elsewhere={})


class _Variables:
    def __init__(self, names: SettingNames) -> None:
        self.names = names
        self.settings: dict[SettingPath, SourcedValue] = {}
        self.sections: dict[SettingPath, SourcedValue] = {}
        self.libpq: dict[str, SourcedValue] = {}
        self.fields: dict[str, SourcedValue] = {}
        self.elsewhere: dict[str, SourcedValue] = {}
        self.database_url: SourcedValue | None = None
        self.problems: list[Problem] = []
        self.misspelt: list[Problem] = []

    def add(self, name: str, value: str, origin: Origin) -> None:
        names, path, sourced = self.names, self.names.path(name), SourcedValue(value, origin)
        if self._is_deceptive(name, origin) or _is_made_by_kubernetes(name, value, origin):
            return
        if name.startswith("PG") and not (names.prefix and path):
            self.libpq[name] = sourced
            self._note(name, sourced)
        elif names.ignore_empty and not value:
            return
        elif names.is_field(name):
            self.fields[name] = sourced
        elif names.none_text is not None and value == names.none_text:
            if path == ("pool",):
                self.sections[path] = SourcedValue(SECTION_WORDS["pool"], origin)
            elif path is not None and path[0] == "pool" and _is_known(path):
                self.settings[path] = SourcedValue(None, origin)
        elif names.is_database_url(name):
            self.database_url = sourced
        elif path is not None:
            self._add_setting(name, path, sourced)
        else:
            self._add_other(name, sourced)

    def _add_other(self, name: str, sourced: SourcedValue) -> None:
        """Keep a variable that nothing here reads, if it is misspelt, or describes a connection."""
        if meant := suggestions.variable(name, self.names):
            message, hint = f"procrastinate-conn does not read {name}", f"did you mean {meant}?"
            problem = LIKELY_MISSPELT_VARIABLE(name, message, hint=hint, origin=sourced.origin)
            self.misspelt.append(problem)
            if self.names.is_default:  # another prefix that is near may be that of another connection
                self.problems.append(problem)
        else:
            self._note(name, sourced)

    def _note(self, name: str, sourced: SourcedValue) -> None:
        """Keep a variable of another program's that may describe a connection."""
        if suggestions.may_be_connection_part(name.upper(), str(sourced.value)):
            self.elsewhere[name] = sourced

    def _is_deceptive(self, name: str, origin: Origin) -> bool:
        """Report a name that only looks like that of a setting, or of a variable of libpq's."""
        deceptive, seen = find_deceptive(name), as_seen(name)
        if deceptive is None or not (self.names.is_setting(seen) or seen.startswith("PG")):
            return False
        setting, origin = self.names.setting_of(seen), replace(origin, name=seen)
        message, hint = f"the name of {name} has {deceptive.description}", f"type {seen} anew"
        self.problems.append(UNKNOWN_SETTING(setting, message, hint=hint, origin=origin))
        return True

    def _add_setting(self, name: str, path: SettingPath, sourced: SourcedValue) -> None:
        if path[0] in SECTIONS and len(path) == 1:
            self._add_section(path[0], str(sourced.value), sourced.origin)
        elif _is_known(path):
            self.settings[path] = sourced
        elif suggestions.is_near_setting(path, self.names):
            hint = suggestions.setting_hint(path, self.names.variable, self.names.fields)
            problem = UNKNOWN_SETTING(
                ".".join(path), f"no setting is called {name}", hint=hint, origin=sourced.origin
            )
            self.problems.append(problem)
        elif self.names.prefix and len(path) == 1 and suggestions.address_part(path[0]):
            self.elsewhere[name] = sourced
        else:
            self._note(name, sourced)

    def _add_section(self, section: str, value: str, origin: Origin) -> None:
        """Read a whole section that is written as JSON, or its word."""
        if section in SECTION_WORDS and not value.lstrip().startswith("{"):
            self.sections[section,] = SourcedValue(value, origin)
            return
        options, where = None, ""
        try:
            options = json.loads(value)
        except json.JSONDecodeError as error:
            if value.lstrip().startswith("{"):
                reason = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
                where = f": {reason} at character {error.pos + 1}"
        except (ValueError, RecursionError):  # digits, or levels, beyond Python's limits
            pass
        if isinstance(options, dict):
            if section in SECTION_WORDS:
                self.sections[section,] = SourcedValue(AS_MAPPING, origin)
            self.sections.update({(section, name): SourcedValue(o, origin) for name, o in options.items()})
            return
        hint = "write an object"
        if self.names.delimiter:
            hint += f", or one variable for each part: {self.names.variable((section, 'name'))}=value"
        message, hint = f"{origin.name} is not a JSON object{where}", hint_for(value, hint, origin.source)
        self.problems.append(NOT_AN_OBJECT(section, message, hint=hint, origin=origin))


def _is_made_by_kubernetes(name: str, value: str, origin: Origin) -> bool:
    """Tell whether Kubernetes, or Docker for a link, has made a variable for a service of that name.

    Neither writes files, and the name of no service becomes one with two underscores in a row.
    """
    if origin.file or "__" in name or not ("_PORT" in name or "_SERVICE_" in name):
        return False  # as in most environments: no pattern is compiled
    is_address = re.fullmatch(r"(tcp|udp|sctp)://[0-9a-f.:\[\]]+", value)
    is_part = re.search(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?$", name)
    return bool(is_address or is_part)


def _is_known(path: SettingPath) -> bool:
    if path[0] in SECTIONS:
        return len(path) == 2 and bool(path[1]) and (path[1] not in SETTINGS or path == LISTEN_DSN)
    return path[0] in SETTINGS and len(path) == 1
