"""A ``.env`` file, read as python-dotenv reads it, with the line of every variable."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from procrastinate_conn.files import expanded, status
from procrastinate_conn.origins import DOTENV, Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import is_connection_string
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames, keywords_if_any
from procrastinate_conn.sources.base import (
    INVALID_VALUE,
    SHADOWED_SETTING,
    Source,
    not_a_file,
    unreadable_file,
)
from procrastinate_conn.sources.variables import read_variables

if TYPE_CHECKING:
    from dotenv.parser import Binding

MALFORMED_LINE = Rule(
    "PC104",
    "line that is not NAME=value",
    "python-dotenv skips such a line, and what it should set is missing.",
    "Write NAME=value; close every quote.",
    severity="warning",
    example=Example('PGHOST="localhost'),
)

UNDEFINED_VARIABLE = Rule(
    "PC111",
    "reference to a variable that is not defined",
    "python-dotenv replaces it with nothing: a host becomes empty, which is this machine.",
    "Define the variable, or write ${NAME:-default} if it may be absent.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@${DB_HOST}/jobs"),
)

MALFORMED_SETTING = Rule(
    "PC112",
    "setting whose line is not NAME=value",
    "python-dotenv skips such a line, and the connection is another one than intended.",
    "Write NAME=value; close every quote.",
    example=Example('PROCRASTINATE_CONN_DSN="postgresql://app@localhost/jobs'),
    fault_in="name",
)

CHANGED_VALUE = Rule(
    "PC118",
    "value that an env file changes",
    "python-dotenv expands ${NAME} and not $NAME, takes \\n in double quotes for a line break, and ends a"
    " value without quotes at a blank before #: the connection is made with another value than is written.",
    "Write ${NAME} for a reference, and single quotes around a value with a backslash, or a blank before #.",
    severity="warning",
    example=Example("PGHOST=localhost\nPGPASSWORD=... #..."),
)

_LINE_OF_A_SETTING = r"(?!\s*(?:;|//|--))[^=#]*?(?<!\w)({prefix}\w+)"
"""One of our names at the place of a name, after anything that a shell or another format has before it.

Lines that begin like comments of other formats are not matched.
"""

_TYPOGRAPHIC = "(?s)[\u201c\u201d\u201e\u2018\u2019\u00ab].*[\u201c\u201d\u2018\u2019\u00bb]"

_EXAMPLE = "write NAME=value, and close every quote"
_FORMATS = {
    r"^\s*-\s": "leave out the - before the name, which is for YAML",
    r"^\s*[\"']?\w+[\"']?\s*:": "write = for the colon, which is for YAML and JSON",
    r"^[^=]*=\s*(['\"]).*\1\s*[,;]\s*$": "leave out what follows the closing quote",
}
"""What to do about a line of another format, by patterns of it."""


def read_dotenv(
    file: str | Path,
    *,
    optional: bool = False,
    environment: Mapping[str, str] = os.environ,
    names: SettingNames = DEFAULT_NAMES,
    encoding: str | None = None,
    depth: int = 0,
) -> Source:
    """Read one file; ``${NAME}`` is expanded from the lines above it and the environment.

    The file is relative to the working directory, ``~`` is the home directory, and an optional one may be
    absent. `encoding` and `depth` are those of `SourceOptions`.
    """
    if is_connection_string(str(file)):
        return Source(DOTENV, names=names, problems=(not_a_file("env_file"),))
    try:
        text = _find(file, depth).read_text(encoding=encoding or "utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        # A container platform that mounts a file that does not exist makes a directory.
        absent = f"{_find(file, depth).absolute()} (there is no such file)"
        return Source(DOTENV, names=names, place=absent) if optional else _unreadable(file, error, names)
    except (OSError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        return _unreadable(file, error, names)

    from dotenv.parser import parse_stream  # not above: often there is no file to read

    bindings = list(parse_stream(io.StringIO(text)))
    values: dict[str, SourcedValue | None] = {}
    known = dict(environment)
    problems = [
        *_malformed(file, bindings, names),
        *_stray_dsns(file, bindings, names),
        *_repeated(file, bindings, names),
        *_typographic(file, bindings, names),
        *_changed(file, bindings, environment, names),
    ]
    for binding in bindings:
        if (name := binding.key) is None or _has_typographic_quotes(binding, names):
            continue
        origin = _origin(file, binding, name)
        values.pop(name, None)  # the last line counts, also among names that differ in case alone
        if binding.value is None:
            values[name], known[name] = None, ""  # a name alone unsets the lines above it
            continue
        sourced, undefined = _expand(binding.value, known, origin, names)
        values[name], known[name] = sourced, str(sourced.value)
        problems += undefined
    variables = ((name, str(sourced.value), sourced.origin) for name, sourced in values.items() if sourced)
    source = read_variables(DOTENV, variables, names)
    place = str(_find(file, depth).absolute())
    return source._replace(problems=(*problems, *source.problems), place=place)


def is_there(file: str | Path, depth: int) -> bool:
    """Tell whether there is an env file of that name; a directory is none."""
    found = status(_find(file, depth))
    return found is not None and not stat.S_ISDIR(found.st_mode)


def _find(file: str | Path, depth: int) -> Path:
    path = expanded(file)
    if depth and not path.is_absolute() and not path.exists():
        above = (directory / path for directory in list(Path.cwd().parents)[:depth])
        return next((candidate for candidate in above if candidate.exists()), path)
    return path


def _unreadable(file: str | Path, error: OSError | ValueError | LookupError, names: SettingNames) -> Source:
    origin = Origin("dotenv", None, str(file))
    hint = "name a file that exists, relative to the working directory"
    problem = unreadable_file("env_file", f"the env file {file}", error, origin, hint)
    return Source(DOTENV, names=names, problems=(problem,))


def _origin(file: str | Path, binding: Binding, name: str | None) -> Origin:
    """Return the line of the name; python-dotenv counts from the blank lines above it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return Origin("dotenv", name, str(file), binding.original.line + blank.count("\n"))


def _expand(
    value: str, known: Mapping[str, str], origin: Origin, names: SettingNames
) -> tuple[SourcedValue, list[Problem]]:
    """Expand ``${NAME}`` and ``${NAME:-default}`` as python-dotenv does, and report what is not defined."""
    from dotenv.variables import Variable, parse_variables

    atoms = list(parse_variables(value))
    problems = [
        _undefined(atom.name, origin, names)
        for atom in atoms
        if isinstance(atom, Variable) and atom.default is None and atom.name not in known
    ]
    sourced = SourcedValue("".join(atom.resolve(known) for atom in atoms), origin)
    return sourced, problems if _is_relevant(origin.name, names) else []


def _undefined(name: str, origin: Origin, names: SettingNames) -> Problem:
    # A name that does not look like a variable may be a piece of a password.
    reference = f"${{{name}}}" if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name) else "${...}"
    hint = "define it in the environment or on a line above, or write ${NAME:-default}"
    if name.startswith("{"):
        reference, hint = "${{ }}", "let the workflow fill it in: in an env file nothing does"
    elif reference == "${...}":
        hint += "; no env file can have a ${ of its own: write such a value elsewhere, as in the environment"
    message = f"{origin.name} refers to {reference}, which is not defined: it is replaced with nothing"
    return UNDEFINED_VARIABLE(names.setting_of(origin.name or ""), message, hint=hint, origin=origin)


def _malformed(file: str | Path, bindings: list[Binding], names: SettingNames) -> Iterator[Problem]:
    line_of_a_setting = re.compile(
        _LINE_OF_A_SETTING.format(prefix=re.escape(names.prefix)),
        re.NOFLAG if names.case_sensitive else re.IGNORECASE,
    )
    above: set[str] = set()
    for binding in bindings:
        name = binding.key or ""
        ours = line_of_a_setting.match(binding.original.string)
        if ours and not names.is_setting(ours[1]):
            ours = None
        has_no_effect = binding.error or binding.value is None or not names.is_setting(name)
        if has_no_effect and ours and name not in above:
            message = f"the line of {ours[1]} is not NAME=value, and sets nothing"
            origin = _origin(file, binding, ours[1])
            hint = next((h for p, h in _FORMATS.items() if re.search(p, binding.original.string)), _EXAMPLE)
            yield MALFORMED_SETTING(names.setting_of(ours[1]), message, hint=hint, origin=origin)
        elif binding.error or (binding.value is None and name in above):
            effect = "unsets the value of a line above" if name in above else "is ignored"
            message = f"this line is not NAME=value and {effect}"
            yield MALFORMED_LINE("env_file", message, hint=_EXAMPLE, origin=_origin(file, binding, None))
        elif _is_relevant(name, names):
            above.add(name)


def _stray_dsns(file: str | Path, bindings: list[Binding], names: SettingNames) -> Iterator[Problem]:
    """Report a DSN without a name, and a line that belongs to the DSN above it."""
    above = ""
    for binding in bindings:
        name, line = binding.key or "", binding.original.string.strip("\r\n")
        goes_on = above.endswith(("?", "&")) or (above and line.startswith((" ", "\t", "?", "&")))
        if re.match(r"['\"]?postgres(ql)?://", name):
            message = "this line is a DSN without a name"
            hint = f"write {names.variable(('dsn',))}= before it"
        elif goes_on and name.lstrip("?&") in keywords_if_any():
            message, hint = "this line belongs to the DSN above it", "write all of the DSN in one line"
        else:
            if name:
                above = binding.value or "" if names.setting_of(name) in DSN_SETTINGS else ""
            continue
        above = line
        origin = _origin(file, binding, None)  # its name may hold a password
        yield MALFORMED_SETTING("dsn", f"{message}, and sets nothing", hint=hint, origin=origin)


def _repeated(file: str | Path, bindings: list[Binding], names: SettingNames) -> Iterator[Problem]:
    """Report a variable that a later line sets to another value: the last line counts."""
    last = {_identity(binding.key, names): binding for binding in bindings if not binding.error}
    for binding in bindings:
        name, effective = binding.key or "", last.get(_identity(binding.key, names))
        if effective is None or binding.value is None or effective.value in (None, binding.value):
            continue
        if _is_relevant(name, names):
            message = f"{name} has no effect: line {_origin(file, effective, name).line} sets it again"
            origin = _origin(file, binding, name)
            yield SHADOWED_SETTING(names.setting_of(name), message, hint="remove one of them", origin=origin)


def _typographic(file: str | Path, bindings: list[Binding], names: SettingNames) -> Iterator[Problem]:
    """Report a value that was copied from a printed page, with quotes that would belong to it."""
    for binding in bindings:
        if not _has_typographic_quotes(binding, names):
            continue
        name = str(binding.key)
        message = f"the quotes around the value of {name} are typographic, and would belong to it"
        hint = "write them as \" or ', or leave them out"
        yield INVALID_VALUE(names.setting_of(name), message, hint=hint, origin=_origin(file, binding, name))


def _changed(
    file: str | Path, bindings: list[Binding], environment: Mapping[str, str], names: SettingNames
) -> Iterator[Problem]:
    """Report a value that is hardly meant as python-dotenv reads it."""
    defined = {*environment, *(binding.key for binding in bindings)}
    ours = [binding.value or "" for binding in bindings if _is_relevant(binding.key, names)]
    used = {name for value in ours for name in re.findall(r"\$\{(\w+)", value)}
    for binding in bindings:
        if binding.value is None or not (binding.key in used or _is_relevant(binding.key, names)):
            continue
        setting = names.setting_of(str(binding.key))
        written = binding.original.string.partition("=")[2].strip()
        if change := _change(setting, written, binding.value, defined):
            reason, hint = change
            message, origin = f"{binding.key} {reason}", _origin(file, binding, binding.key)
            yield CHANGED_VALUE(setting, message, hint=hint, origin=origin)


DSN_SETTINGS = ("dsn", "database_url", "listen.dsn")
_REFERENCE = r"(?:^|(?<=[/:@=?&,\s'\"]))\$([A-Za-z_]\w*)(?=$|[/:@?&,\s'\"])"


def _change(
    setting: str, written: str, value: str, defined: Collection[str | None]
) -> tuple[str, str] | None:
    """Return what python-dotenv makes of a value, and what to write."""
    references = [] if setting == "password_command" else re.findall(_REFERENCE, value)
    if name := next((name for name in references if name in defined), None):
        return f"has ${name}, which python-dotenv does not expand", f"write ${{{name}}}"
    escape = re.search(r"\\[abfnrtv]", written)
    if written.startswith('"') and escape and not value.strip().isprintable() and "-----BEGIN" not in value:
        return f"has {escape[0]} in double quotes, which becomes a control character", "write single quotes"
    comment = "" if written.startswith(("'", '"')) else written.removeprefix(value)
    is_cut = setting.endswith("password")
    if setting in DSN_SETTINGS:
        is_cut = "@" in comment or re.search(r"password\s*=\s*\S+\Z", value) is not None
    if is_cut and re.match(r"\s+#\S", comment):
        return "ends at the blank before #", "write single quotes around it if what follows belongs to it"
    return None


def _has_typographic_quotes(binding: Binding, names: SettingNames) -> bool:
    return _is_relevant(binding.key, names) and bool(re.fullmatch(_TYPOGRAPHIC, binding.value or ""))


def _is_relevant(name: str | None, names: SettingNames) -> bool:
    return name is not None and (names.is_setting(name) or name.upper().startswith("PG"))


def _identity(name: str | None, names: SettingNames) -> str:
    """Return our names in one case, in which they are the same setting; libpq's variables as they are."""
    return names.fold(name) if name and names.is_setting(name) else name or ""
