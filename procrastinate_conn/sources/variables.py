"""Settings that are written as variables: those of the process environment, or of any other source."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace

from procrastinate_conn import suggestions
from procrastinate_conn.artifacts import as_seen, find_deceptive, hint_for
from procrastinate_conn.origins import ENVIRONMENT, Origin, SourcedValue
from procrastinate_conn.problems import Example, Rule
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


def read_variables(source: Source, variables: Mapping[str, SourcedValue]) -> Source:
    """Sort variables into a source, and return it: settings, libpq's variables, ``DATABASE_URL``."""

    def depth(name: str) -> int:
        return len(source.names.path(name) or ())

    for name in sorted(variables, key=depth):  # a section as JSON first, which its single options override
        _add(source, name, variables[name])
    return source


def read_environment(environment: Mapping[str, str], names: SettingNames = DEFAULT_NAMES) -> Source:
    """Read the variables of a process, such as ``os.environ``."""
    values = {name: SourcedValue(value, Origin("environment", name)) for name, value in environment.items()}
    return read_variables(Source(ENVIRONMENT, names=names, place="the environment"), values)


def read_libpq_variables() -> Source:
    """Read libpq's own variables of this process, and no settings."""
    source = read_environment({name: value for name, value in os.environ.items() if name.startswith("PG")})
    return replace(source, place=LIBPQ_ALONE, elsewhere={})


def _add(source: Source, name: str, sourced: SourcedValue) -> None:
    names, path, value = source.names, source.names.path(name), str(sourced.value)
    if _reject_deceptive(source, name, sourced.origin) or _is_made_by_kubernetes(name, value, sourced.origin):
        return
    if name.startswith("PG") and not (names.prefix and path):
        source.variables[name] = sourced
        _note(source, name, sourced)
    elif names.ignore_empty and not value:
        return
    elif names.is_field(name):
        source.fields[name] = sourced
    elif value == names.none_text:
        if path == ("pool",) or (path and path[0] == "pool" and _is_known(path)):
            source.settings[path] = replace(sourced, value=None if path[1:] else SECTION_WORDS["pool"])
    elif names.is_database_url(name):
        source.database_url = sourced
    elif path is not None:
        _add_setting(source, name, path, sourced)
    elif meant := suggestions.variable(name, names):
        _add_misspelt(source, name, meant, sourced.origin)
    else:
        _note(source, name, sourced)


def _add_misspelt(source: Source, name: str, meant: str, origin: Origin) -> None:
    message, hint = f"procrastinate-conn does not read {name}", f"did you mean {meant}?"
    problem = LIKELY_MISSPELT_VARIABLE(name, message, hint=hint, origin=origin)
    source.misspelt.append(problem)
    if source.names.is_default:  # another prefix that is near may be that of another connection
        source.problems.append(problem)


def _note(source: Source, name: str, sourced: SourcedValue) -> None:
    """Keep a variable that is not read, and that may describe a connection."""
    is_address = suggestions.address_part(source.names.path(name) or (), source.names)
    if is_address or suggestions.may_be_connection_part(name.upper(), str(sourced.value)):
        source.elsewhere[name] = sourced


def _reject_deceptive(source: Source, name: str, origin: Origin) -> bool:
    """Report a name that only looks like one of a setting, or of libpq's, and tell whether it does."""
    deceptive, seen = find_deceptive(name), as_seen(name)
    if deceptive is None or not (source.names.is_setting(seen) or seen.startswith("PG")):
        return False
    setting, origin = source.names.setting_of(seen), replace(origin, name=seen)
    message, hint = f"the name of {name} has {deceptive.description}", f"type {seen} anew"
    source.problems.append(UNKNOWN_SETTING(setting, message, hint=hint, origin=origin))
    return True


def _add_setting(source: Source, name: str, path: SettingPath, sourced: SourcedValue) -> None:
    names = source.names
    if path[0] in SECTIONS and len(path) == 1:
        _add_section(source, path[0], sourced)
    elif _is_known(path):
        source.settings[path] = sourced
    elif suggestions.is_near_setting(path, names):
        message = f"no setting is called {name}"
        hint = suggestions.setting_hint(path, names.variable, names.fields)
        source.problems.append(UNKNOWN_SETTING(".".join(path), message, hint=hint, origin=sourced.origin))
    else:
        _note(source, name, sourced)


def _add_section(source: Source, section: str, sourced: SourcedValue) -> None:
    """Read a whole section that is written as JSON, or its word."""
    value, origin = str(sourced.value), sourced.origin
    is_object = value.lstrip().startswith("{")
    if section in SECTION_WORDS and not is_object:
        source.settings[section,] = sourced
        return
    options, where = None, ""
    try:
        options = json.loads(value)
    except json.JSONDecodeError as error:
        if is_object:
            reason = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
            where = f": {reason} at character {error.pos + 1}"
    except (ValueError, RecursionError):  # digits, or levels, beyond Python's limits
        pass
    if isinstance(options, dict):
        if section in SECTION_WORDS:
            source.settings[section,] = SourcedValue(AS_MAPPING, origin)
        source.settings.update({(section, name): SourcedValue(o, origin) for name, o in options.items()})
        return
    hint = "write an object"
    if source.names.delimiter:
        hint += f", or one variable for each part: {source.names.variable((section, 'name'))}=value"
    message, hint = f"{origin.name} is not a JSON object{where}", hint_for(value, hint, origin.source)
    source.problems.append(NOT_AN_OBJECT(section, message, hint=hint, origin=origin))


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
