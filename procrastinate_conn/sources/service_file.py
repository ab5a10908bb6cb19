"""A service file: a section of keywords for each service, read as libpq reads it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.artifacts import find_deceptive, hint_for
from procrastinate_conn.files import misread_encoding, unreadable
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.similarity import nearest

UNREADABLE_SERVICE = Rule(
    "PC207",
    "service that cannot be read",
    "libpq does not connect if the service is missing or its section is invalid.",
    "Define the service in the service file, or remove the service.",
    example=Example(
        "PGSERVICE=jobs\nPGSERVICEFILE=pg_service.conf", files={"pg_service.conf": "[job]\nhost=localhost\n"}
    ),
)

LINE_LIMIT = 1022
"""Bytes of the longest line, its line break included: libpq's buffer has one more, and a full buffer counts
as a line that is too long."""

_BLANKS = b" \t\n\v\f\r"

_EXAMPLE = "write keyword=value with no blanks around =, as libpq expects it"


class _Fault(ValueError):
    """Why libpq rejects a service file, and in which line; None if it is the whole file."""

    def __init__(self, reason: str, hint: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.line = reason, hint, line


def read_service(
    service: SourcedValue, named: SourcedValue | None, variables: Mapping[str, SourcedValue]
) -> tuple[dict[str, SourcedValue], list[Problem]]:
    """Look a service up, in the `named` or the user's service file, and then in the system's.

    The `variables` are libpq's, for ``PGSYSCONFDIR``.
    """
    name = str(service.value)
    files: list[str] = []
    for file in _candidates(named, variables):
        files.append(file)
        section, faults = _read_section(file, name)
        if faults:
            return {}, list(_problems(name, file, faults, named))
        if section is not None:
            return section, []
    reason = f"definition of service {name!r} not found"
    if "PGSYSCONFDIR" not in variables:
        section, reason = _read_system(name, variables)
        if not reason:
            return section, []
    hint = f"add a section [{name}] to {' or '.join(files) or 'a service file'}"
    if misread := next(filter(None, map(_misread_encoding, files)), None):
        reason, hint = f"{reason}; {misread}", "save the file as UTF-8 without a byte order mark"
    elif not name:
        hint = "its name is empty: unset it, or name a service"
    elif near := nearest(name, (section for file in files for section in _sections(file))):
        deceptive = find_deceptive(near)
        hint = (
            f"the name of the section has {deceptive.description}" if deceptive else f"did you mean {near}?"
        )
    hint = hint_for(name, hint, service.origin.source)
    message = f"libpq cannot read the service: {reason}"
    return {}, [UNREADABLE_SERVICE("connection.service", message, hint=hint, origin=service.origin)]


def _misread_encoding(file: str) -> str:
    with suppress(OSError, ValueError), open(file, "rb") as opened:  # noqa: PTH123 - as below
        if encoding := misread_encoding(opened.read(3)):
            return f"{file} {encoding}"
    return ""


def _problems(
    service: str, file: str, faults: Iterable[_Fault], named: SourcedValue | None
) -> Iterator[Problem]:
    for fault in faults:
        origin = Origin("service-file", f"[{service}]", file, fault.line)
        hint = fault.hint
        if fault.line is None and named is not None:
            origin, hint = named.origin, hint_for(named.value, hint, named.origin.source)
        yield UNREADABLE_SERVICE("connection.service", fault.reason, hint=hint, origin=origin)


def _read_system(service: str, variables: Mapping[str, SourcedValue]) -> tuple[dict[str, SourcedValue], str]:
    """Let libpq read the system's service file, whose directory is compiled into it."""
    if reason := libpq.unencodable(service):
        return {}, reason
    texts = {name: str(sourced.value) for name, sourced in variables.items()}
    encodable = {name: value for name, value in texts.items() if not libpq.unencodable(value)}
    section, reason = libpq.system_service(service, encodable)
    origin = Origin("service-file", f"[{service}]")
    return {keyword: SourcedValue(value, origin) for keyword, value in section.items()}, reason


def _read_section(file: str, service: str) -> tuple[dict[str, SourcedValue] | None, list[_Fault]]:
    """Return the section of a service, keyword to its first value, if there is one, and the file's faults."""
    section: dict[str, SourcedValue] | None = None
    faults: list[_Fault] = []
    try:
        for number, line in _lines(file):
            if line.startswith(b"["):
                if section is not None:
                    break
                if line.startswith(b"[" + os.fsencode(service) + b"]"):
                    section = {}
            elif section is not None:
                keyword, separator, value = os.fsdecode(line).partition("=")
                faults += _faults(keyword, separator, number)
                origin = Origin("service-file", f"[{service}]", file, number)
                section.setdefault(keyword, SourcedValue(value, origin))
    except _Fault as fault:
        faults.append(fault)
    return section, faults


def _faults(keyword: str, separator: str, line: int) -> Iterator[_Fault]:
    if keyword.startswith("ldap://"):
        yield _Fault("this line looks the service up in LDAP, which is not supported here", _EXAMPLE, line)
    elif not separator:
        yield _Fault("this line of the service is not keyword=value", _EXAMPLE, line)
    elif keyword in ("service", "servicefile"):
        yield _Fault("a service cannot name another service", "leave this line out", line)
    elif keyword not in libpq.keywords():
        hint = _EXAMPLE if keyword.endswith((" ", "\t")) else suggestions.keyword_hint(keyword)[0]
        yield _Fault("libpq does not know the keyword of this line", hint, line)


def _sections(file: str) -> Iterator[str]:
    for _, line in _lines(file):
        if line.startswith(b"[") and line.endswith(b"]"):
            yield os.fsdecode(line[1:-1])


def _candidates(named: SourcedValue | None, variables: Mapping[str, SourcedValue]) -> Iterator[str]:
    """Yield the service files; only one that is named has to exist."""
    if named is not None:
        yield str(named.value)
    elif (home := libpq.home()) and os.path.exists(users := f"{home}/.pg_service.conf"):  # noqa: PTH110
        yield users
    directory = variables.get("PGSYSCONFDIR")
    if directory and os.path.exists(systems := f"{directory.value}/pg_service.conf"):  # noqa: PTH110
        yield systems  # to libpq a file without access does not exist, and os.path.exists agrees


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank and no comment, stripped; C ends a line at a NUL."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - for pathlib an empty name is the working directory
            content = io.BytesIO(opened.read())
    except IsADirectoryError:
        return
    except (OSError, ValueError) as error:
        reason = f"the service file {file} cannot be read: {unreadable(error)}"
        raise _Fault(reason, "name a file that exists and can be read") from None
    for number, line in enumerate(iter(lambda: content.readline(LINE_LIMIT + 1), b""), start=1):
        read, _, _ = line.partition(b"\0")
        if len(read) > LINE_LIMIT:
            reason = f"this line is longer than libpq's {LINE_LIMIT} bytes"
            raise _Fault(reason, "make it shorter", number)
        stripped = read.strip(_BLANKS)
        if stripped and not stripped.startswith(b"#"):
            yield number, stripped
