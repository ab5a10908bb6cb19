"""Settings that are written as variables, whatever source the variables are in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace

from procrastinate_conn import suggestions
from procrastinate_conn.artifacts import as_seen, find_deceptive, hint_for
from procrastinate_conn.origins import Origin, SourcedValue, SourceKind
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
    settings = {**read.sections, **read.settings}
    return Source(
        kind,
        settings,
        read.database_url,
        read.libpq,
        tuple(read.problems),
        names,
        read.fields,
        place,
        misspelt=tuple(read.misspelt),
        elsewhere=read.elsewhere,
    )


class _Variables:
    """The variables of a source, sorted."""

    def __init__(self, names: SettingNames) -> None:
        self.names = names
        self.settings: dict[SettingPath, SourcedValue] = {}
        self.sections: dict[SettingPath, SourcedValue] = {}
        self.libpq: dict[str, SourcedValue] = {}
        self.fields: dict[str, SourcedValue] = {}
        self.database_url: SourcedValue | None = None
        self.problems: list[Problem] = []
        self.misspelt: list[Problem] = []
        self.elsewhere: dict[str, SourcedValue] = {}

    def add(self, name: str, value: str, origin: Origin) -> None:
        """Sort a variable in."""
        path = self.names.path(name)
        if self._is_deceptive(name, origin) or _is_made_by_kubernetes(name, value, origin):
            return
        if name.startswith("PG") and not (self.names.prefix and path):
            self.libpq[name] = SourcedValue(value, origin)
            self._note(name, value, origin)
        elif self.names.ignore_empty and not value:
            return
        elif self.names.is_field(name):
            self.fields[name] = SourcedValue(value, origin)
        elif self.names.none_text is not None and value == self.names.none_text:
            if path == ("pool",):
                self.sections[path] = SourcedValue(SECTION_WORDS["pool"], origin)
            elif path is not None and path[0] == "pool" and _is_known(path):
                self.settings[path] = SourcedValue(None, origin)
        elif self.names.is_database_url(name):
            self.database_url = SourcedValue(value, origin)
        elif path is not None:
            self._add_setting(name, path, value, origin)
        else:
            self._add_other(name, value, origin)

    def _add_other(self, name: str, value: str, origin: Origin) -> None:
        """Keep a variable that nothing here reads, if it is misspelt, or describes a connection."""
        if meant := suggestions.variable(name, self.names):
            message, hint = f"procrastinate-conn does not read {name}", f"did you mean {meant}?"
            problem = LIKELY_MISSPELT_VARIABLE(name, message, hint=hint, origin=origin)
            self.misspelt.append(problem)
            if self.names.is_default:  # another prefix that is near may be that of another connection
                self.problems.append(problem)
        else:
            self._note(name, value, origin)

    def _note(self, name: str, value: str, origin: Origin) -> None:
        """Keep a variable of another program's that may describe a connection."""
        if suggestions.may_be_connection_part(name.upper(), value):
            self.elsewhere[name] = SourcedValue(value, origin)

    def _is_deceptive(self, name: str, origin: Origin) -> bool:
        """Report a name that only looks like that of a setting, or of a variable of libpq's."""
        deceptive, seen = find_deceptive(name), as_seen(name)
        if deceptive is None or not (self.names.is_setting(seen) or seen.startswith("PG")):
            return False
        setting, origin = self.names.setting_of(seen), replace(origin, name=seen)
        message, hint = f"the name of {name} has {deceptive.description}", f"type {seen} anew"
        self.problems.append(UNKNOWN_SETTING(setting, message, hint=hint, origin=origin))
        return True

    def _add_setting(self, name: str, path: SettingPath, value: str, origin: Origin) -> None:
        if path[0] in SECTIONS and len(path) == 1:
            self.problems += _read_section(path[0], value, origin, self.sections, self.names)
        elif _is_known(path):
            self.settings[path] = SourcedValue(value, origin)
        elif suggestions.is_near_setting(path, self.names):
            hint = suggestions.setting_hint(path, self.names.variable, self.names.fields)
            message = f"no setting is called {name}"
            self.problems.append(UNKNOWN_SETTING(".".join(path), message, hint=hint, origin=origin))
        elif self.names.prefix and len(path) == 1 and suggestions.address_part(path[0]):
            self.elsewhere[name] = SourcedValue(value, origin)
        else:
            self._note(name, value, origin)


def _is_made_by_kubernetes(name: str, value: str, origin: Origin) -> bool:
    """Tell whether Kubernetes, or Docker for a link, has made a variable for a service of that name.

    Neither writes files, and the name of no service becomes one with two underscores in a row.
    """
    if "_PORT" not in name and "_SERVICE_" not in name:  # as in most environments: no pattern is compiled
        return False
    if origin.file or "__" in name:
        return False
    is_address = re.fullmatch(r"(tcp|udp|sctp)://[0-9a-f.:\[\]]+", value)
    is_part = re.search(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?$", name)
    return bool(is_address or is_part)


def _is_known(path: SettingPath) -> bool:
    if path[0] in SECTIONS:
        return len(path) == 2 and bool(path[1]) and (path[1] not in SETTINGS or path == LISTEN_DSN)
    return path[0] in SETTINGS and len(path) == 1


def _read_section(
    section: str,
    value: str,
    origin: Origin,
    settings: dict[SettingPath, SourcedValue],
    names: SettingNames,
) -> Iterable[Problem]:
    """Read a whole section that is written as JSON, or its word."""
    if section in SECTION_WORDS and not value.lstrip().startswith("{"):
        settings[(section,)] = SourcedValue(value, origin)
        return
    options, where = None, ""
    try:
        options = json.loads(value)
    except json.JSONDecodeError as error:
        if value.lstrip().startswith("{"):
            where = (
                f": {error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')} at character {error.pos + 1}"
            )
    except (ValueError, RecursionError):  # digits, or levels, beyond Python's limits
        pass
    if not isinstance(options, dict):
        message = f"{origin.name} is not a JSON object{where}"
        hint = "write an object"
        if names.delimiter:
            hint += f", or one variable for each part: {names.variable((section, 'name'))}=value"
        hint = hint_for(value, hint, origin.source)
        yield NOT_AN_OBJECT(section, message, hint=hint, origin=origin)
        return
    if section in SECTION_WORDS:
        settings[(section,)] = SourcedValue(AS_MAPPING, origin)
    for name, option in options.items():
        settings[(section, name)] = SourcedValue(option, origin)
