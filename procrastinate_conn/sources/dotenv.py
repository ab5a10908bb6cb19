"""A ``.env`` file, read as python-dotenv reads it, with the line of every variable."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.files import expanded, status
from procrastinate_conn.origins import DOTENV, Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import is_connection_string
from procrastinate_conn.setting_names import SettingNames
from procrastinate_conn.sources.base import (
    DEFAULT_OPTIONS,
    INVALID_VALUE,
    SHADOWED_SETTING,
    Source,
    SourceOptions,
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
"""One of our names, after anything that a shell or another format has before it, except for comments."""

_DSN_SETTINGS = ("dsn", "database_url", "listen.dsn")
_REFERENCE = r"(?:^|(?<=[/:@=?&,\s'\"]))\$([A-Za-z_]\w*)(?=$|[/:@?&,\s'\"])"
_TYPOGRAPHIC = "(?s)[\u201c\u201d\u201e\u2018\u2019\u00ab].*[\u201c\u201d\u2018\u2019\u00bb]"
_EXAMPLE = "write NAME=value, and close every quote"
_FORMATS = {
    r"^\s*-\s": "leave out the - before the name, which is for YAML",
    r"^\s*[\"']?\w+[\"']?\s*:": "write = for the colon, which is for YAML and JSON",
    r"^[^=]*=\s*(['\"]).*\1\s*[,;]\s*$": "leave out what follows the closing quote",
}
"""What to do about a line of another format, by patterns of it."""


def read_dotenv(
    file: str | Path, options: SourceOptions = DEFAULT_OPTIONS, *, optional: bool = False
) -> Source:
    """Read one file; ``${NAME}`` is expanded from the lines above it and the environment.

    The file is relative to the working directory, ``~`` is the home directory, and an optional one may be
    absent.
    """
    source = Source(DOTENV, names=options.names)
    if is_connection_string(str(file)):
        source.problems.append(not_a_file("env_file"))
        return source
    path = _find(file, options.depth)
    try:
        source.place = str(path.absolute())
        text = path.read_text(encoding=options.encoding or "utf-8-sig")
    except (OSError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        # A container platform that mounts a file that does not exist makes a directory.
        if optional and isinstance(error, FileNotFoundError | IsADirectoryError):
            source.place += " (there is no such file)"
            return source
        origin = Origin("dotenv", None, str(file))
        hint = "name a file that exists, relative to the working directory"
        source.problems.append(unreadable_file("env_file", f"the env file {file}", error, origin, hint))
        return source

    from dotenv.parser import parse_stream  # not above: often there is no file to read

    lines = _Lines(str(file), list(parse_stream(io.StringIO(text))), options.environment, options.names)
    source.problems += [*lines.malformed(), *lines.stray_dsns(), *lines.misread()]
    return read_variables(source, lines.expand(source.problems))


def is_there(file: str | Path, depth: int) -> bool:
    """Tell whether there is an env file of that name; a directory is none."""
    found = status(_find(file, depth))
    return found is not None and not stat.S_ISDIR(found.st_mode)


def _find(file: str | Path, depth: int) -> Path:
    path = expanded(file)
    above = Path.cwd().parents[:depth] if depth else ()
    return next(
        (found for found in (path, *(directory / path for directory in above)) if status(found)), path
    )


class _Lines(NamedTuple):
    """The lines of a file as python-dotenv parses them; one may be several, if its value is."""

    file: str
    lines: Sequence[Binding]
    environment: Mapping[str, str]
    names: SettingNames

    def expand(self, problems: list[Problem]) -> dict[str, SourcedValue]:
        """Return the variables, with ``${NAME}`` expanded as python-dotenv does."""
        from dotenv.variables import Variable, parse_variables

        variables: dict[str, SourcedValue] = {}
        known = dict(self.environment)
        for line in self.lines:
            if (name := line.key) is None or self._has_typographic_quotes(line):
                continue
            variables.pop(name, None)  # the last line counts, also among names that differ in case alone
            if line.value is None:
                known[name] = ""  # a name alone unsets the lines above it
                continue
            atoms = list(parse_variables(line.value))
            for atom in atoms if self._is_relevant(name) else ():
                if isinstance(atom, Variable) and atom.default is None and atom.name not in known:
                    reference, hint = _undefined(atom.name)
                    message = (
                        f"{name} refers to {reference}, which is not defined: it is replaced with nothing"
                    )
                    problems.append(self._problem(UNDEFINED_VARIABLE, line, name, message, hint))
            known[name] = "".join(atom.resolve(known) for atom in atoms)
            variables[name] = SourcedValue(known[name], self._origin(line, name))
        return variables

    def malformed(self) -> Iterator[Problem]:
        """Report the lines that are not NAME=value."""
        names = self.names
        line_of_a_setting = re.compile(
            _LINE_OF_A_SETTING.format(prefix=re.escape(names.prefix)),
            re.NOFLAG if names.case_sensitive else re.IGNORECASE,
        )
        above: set[str] = set()
        for line in self.lines:
            name, written = line.key or "", line.original.string
            ours = line_of_a_setting.match(written)
            has_no_effect = line.error or line.value is None or not names.is_setting(name)
            if has_no_effect and ours and names.is_setting(ours[1]) and name not in above:
                message = f"the line of {ours[1]} is not NAME=value, and sets nothing"
                hint = next((h for p, h in _FORMATS.items() if re.search(p, written)), _EXAMPLE)
                yield self._problem(MALFORMED_SETTING, line, ours[1], message, hint)
            elif line.error or (line.value is None and name in above):
                effect = "unsets the value of a line above" if name in above else "is ignored"
                message = f"this line is not NAME=value and {effect}"
                yield MALFORMED_LINE("env_file", message, hint=_EXAMPLE, origin=self._origin(line, None))
            elif self._is_relevant(name):
                above.add(name)

    def stray_dsns(self) -> Iterator[Problem]:
        """Report a DSN without a name, and a line that belongs to the DSN above it."""
        above = ""
        for line in self.lines:
            name, written = line.key or "", line.original.string.strip("\r\n")
            goes_on = above.endswith(("?", "&")) or (above and written.startswith((" ", "\t", "?", "&")))
            if re.match(r"['\"]?postgres(ql)?://", name):
                message = "this line is a DSN without a name"
                hint = f"write {self.names.variable(('dsn',))}= before it"
            elif goes_on and name.lstrip("?&") in libpq.keywords():
                message, hint = "this line belongs to the DSN above it", "write all of the DSN in one line"
            else:
                if name:
                    above = line.value or "" if self.names.setting_of(name) in _DSN_SETTINGS else ""
                continue
            above = written
            origin = self._origin(line, None)  # its name may hold a password
            yield MALFORMED_SETTING("dsn", f"{message}, and sets nothing", hint=hint, origin=origin)

    def misread(self) -> Iterator[Problem]:
        """Report the values that are hardly meant as python-dotenv reads them."""
        defined = {*self.environment, *(line.key for line in self.lines)}
        ours = [line.value or "" for line in self.lines if self._is_relevant(line.key)]
        used = {name for value in ours for name in re.findall(r"\$\{(\w+)", value)}
        last = {self._identity(line.key): line for line in self.lines if line.key}
        for line in self.lines:
            if (name := line.key) is None or line.value is None:
                continue
            is_relevant, effective = self._is_relevant(name), last[self._identity(name)]
            if is_relevant and effective.value not in (None, line.value):
                again = self._origin(effective, name).line
                message = f"{name} has no effect: line {again} sets it again"
                yield self._problem(SHADOWED_SETTING, line, name, message, "remove one of them")
            if self._has_typographic_quotes(line):
                message = f"the quotes around the value of {name} are typographic, and would belong to it"
                hint = "write them as \" or ', or leave them out"
                yield self._problem(INVALID_VALUE, line, name, message, hint)
            written = line.original.string.partition("=")[2].strip()
            if is_relevant or name in used:
                change, hint = _change(self.names.setting_of(name), written, line.value, defined)
                if change:
                    yield self._problem(CHANGED_VALUE, line, name, f"{name} {change}", hint)

    def _problem(self, rule: Rule, line: Binding, name: str, message: str, hint: str) -> Problem:
        return rule(self.names.setting_of(name), message, hint=hint, origin=self._origin(line, name))

    def _origin(self, line: Binding, name: str | None) -> Origin:
        """Return the line of the name; python-dotenv counts from the blank lines above it."""
        text = line.original.string
        blank = text[: len(text) - len(text.lstrip())]
        return Origin("dotenv", name, self.file, line.original.line + blank.count("\n"))

    def _has_typographic_quotes(self, line: Binding) -> bool:
        """Tell whether a value was copied from a printed page, with quotes that would belong to it."""
        return self._is_relevant(line.key) and bool(re.fullmatch(_TYPOGRAPHIC, line.value or ""))

    def _is_relevant(self, name: str | None) -> bool:
        return name is not None and (self.names.is_setting(name) or name.upper().startswith("PG"))

    def _identity(self, name: str | None) -> str:
        """Return our names in one case, in which they are the same setting; libpq's variables as they are."""
        return self.names.fold(name) if name and self.names.is_setting(name) else name or ""


def _undefined(name: str) -> tuple[str, str]:
    """Return how a reference to what is not defined is shown, and what to do about it."""
    if name.startswith("{"):
        return "${{ }}", "let the workflow fill it in: in an env file nothing does"
    hint = "define it in the environment or on a line above, or write ${NAME:-default}"
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name):
        return f"${{{name}}}", hint
    # A name that does not look like a variable may be a piece of a password.
    hint += "; no env file can have a ${ of its own: write such a value elsewhere, as in the environment"
    return "${...}", hint


def _change(setting: str, written: str, value: str, defined: Collection[str | None]) -> tuple[str, str]:
    """Return what python-dotenv makes of a value, and what to write; nothing if it is as written."""
    references = [] if setting == "password_command" else re.findall(_REFERENCE, value)
    if name := next((name for name in references if name in defined), None):
        return f"has ${name}, which python-dotenv does not expand", f"write ${{{name}}}"
    escape = re.search(r"\\[abfnrtv]", written)
    if written.startswith('"') and escape and not value.strip().isprintable() and "-----BEGIN" not in value:
        return f"has {escape[0]} in double quotes, which becomes a control character", "write single quotes"
    comment = "" if written.startswith(("'", '"')) else written.removeprefix(value)
    is_cut = setting.endswith("password")
    if setting in _DSN_SETTINGS:
        is_cut = "@" in comment or re.search(r"password\s*=\s*\S+\Z", value) is not None
    if is_cut and re.match(r"\s+#\S", comment):
        return "ends at the blank before #", "write single quotes around it if what follows belongs to it"
    return "", ""
