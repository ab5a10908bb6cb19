"""A service file: a section of keywords for each service, read as libpq reads it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.files import unreadable
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.suggestions import nearest

UNREADABLE_SERVICE = Rule(
    "PC207",
    "service that cannot be read",
    "libpq refuses to connect when the service is missing or its section is damaged.",
    "Define the service in the service file, or remove the service.",
    example=Example(
        "PGSERVICE=jobs\nPGSERVICEFILE=pg_service.conf", files={"pg_service.conf": "[job]\nhost=localhost\n"}
    ),
)


LINE_LIMIT = 1022
"""Bytes that a line may have, its line break included: libpq reads it into a buffer of one more, and
takes a full one for a longer line."""

_BLANKS = b" \t\n\v\f\r"


class Fault(NamedTuple):
    """Why libpq refuses a service file.

    Parameters
    ----------
    reason
        What is wrong.
    hint
        What to do about it.
    line
        The line; None where it is the whole file.
    """

    reason: str
    hint: str
    line: int | None = None


class BadServiceFile(ValueError):
    """A service file that libpq refuses.

    Parameters
    ----------
    *faults
        What is wrong; libpq would name the first.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults


def read_service(
    service: SourcedValue, named: SourcedValue | None, variables: Mapping[str, SourcedValue]
) -> tuple[dict[str, SourcedValue], list[Problem]]:
    """Look a service up, in the user's service file and then in the system's.

    Parameters
    ----------
    service
        The service's name, and where it is written.
    named
        The service file that was named (``PGSERVICEFILE``), if one was.
    variables
        libpq's variables, for ``PGSYSCONFDIR``.

    Returns
    -------
    tuple
        Keyword to value, each with its line, and what is wrong.
    """
    name = str(service.value)
    looked_in: list[str] = []
    for file in _candidates(named, variables):
        looked_in.append(file)
        try:
            found = read_section(file, name)
        except BadServiceFile as error:
            return {}, list(_bad(name, file, error, named))
        if found is not None:
            return found, []
    reason = f"definition of service {name!r} not found"
    if "PGSYSCONFDIR" not in variables:
        found, reason = _read_system(name, variables)
        if not reason:
            return found, []
    hint = f"add a section [{name}] to {' or '.join(looked_in) or 'a service file'}"
    if not name:
        hint = "its name is empty: unset it, or name a service"
    elif near := nearest(name, (section for file in looked_in for section in _sections(file))):
        hint = f"did you mean {near}?"
    message = f"libpq cannot read the service: {reason}"
    return {}, [UNREADABLE_SERVICE("connection.service", message, hint=hint, origin=service.origin)]


def _bad(service: str, file: str, error: BadServiceFile, named: SourcedValue | None) -> Iterator[Problem]:
    """Report a file at its lines, or where it is named if the whole of it cannot be read."""
    for fault in error.faults:
        origin = Origin("service-file", f"[{service}]", file, fault.line)
        if fault.line is None and named is not None:
            origin = named.origin
        yield UNREADABLE_SERVICE("connection.service", fault.reason, hint=fault.hint, origin=origin)


def _read_system(service: str, variables: Mapping[str, SourcedValue]) -> tuple[dict[str, SourcedValue], str]:
    """Let libpq read the system's service file, of which it alone knows the place."""
    if reason := libpq.unencodable(service):
        return {}, reason
    texts = {name: str(sourced.value) for name, sourced in variables.items()}
    stated = {name: value for name, value in texts.items() if not libpq.unencodable(value)}
    found, reason = libpq.system_service(service, stated)
    origin = Origin("service-file", f"[{service}]")
    return {keyword: SourcedValue(value, origin) for keyword, value in found.items()}, reason


def read_section(file: str, service: str) -> dict[str, SourcedValue] | None:
    """Read the section of one service.

    Returns
    -------
    dict or None
        Keyword to value, the first of each; None where there is no such section.

    Raises
    ------
    BadServiceFile
        If libpq refuses the file.
    """
    found: dict[str, SourcedValue] | None = None
    faults: list[Fault] = []
    for number, line in _lines(file):
        if line.startswith(b"["):
            if found is not None:
                break
            if line.startswith(b"[" + os.fsencode(service) + b"]"):
                found = {}
        elif found is not None:
            keyword, separator, value = os.fsdecode(line).partition("=")
            if fault := _fault(keyword, separator):
                faults.append(fault._replace(line=number))
            found.setdefault(
                keyword, SourcedValue(value, Origin("service-file", f"[{service}]", file, number))
            )
    if faults:
        raise BadServiceFile(*faults)
    return found


def _sections(file: str) -> Iterator[str]:
    for _, line in _lines(file):
        if line.startswith(b"[") and line.endswith(b"]"):
            yield os.fsdecode(line[1:-1])


_EXAMPLE = "write keyword=value with no blanks around =, as libpq expects it"


def _fault(keyword: str, separator: str) -> Fault | None:
    if keyword.startswith("ldap://"):
        return Fault("this line looks the service up in LDAP, which is not supported here", _EXAMPLE)
    if not separator:
        return Fault("this line of the service is not keyword=value", _EXAMPLE)
    if keyword in ("service", "servicefile"):
        return Fault("a service cannot name another service", "leave this line out")
    if keyword not in libpq.keywords():
        near = suggestions.keyword(keyword)
        hint = f"did you mean {near}?" if near else "write one of libpq's keywords"
        is_blank = keyword.endswith((" ", "\t"))
        return Fault("libpq does not know the keyword of this line", _EXAMPLE if is_blank else hint)
    return None


def _candidates(named: SourcedValue | None, variables: Mapping[str, SourcedValue]) -> Iterator[str]:
    """Yield the files to look in; only a file that was named has to exist."""
    if named is not None:
        yield str(named.value)
    elif (home := libpq.home()) and os.path.exists(users := f"{home}/.pg_service.conf"):  # noqa: PTH110
        yield users
    directory = variables.get("PGSYSCONFDIR")
    if directory and os.path.exists(systems := f"{directory.value}/pg_service.conf"):  # noqa: PTH110
        yield systems  # as for libpq, one that cannot be looked at is not there


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that say something, without the blanks around them; C ends a line at a NUL."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - for pathlib an empty name is the working directory
            content = io.BytesIO(opened.read())
    except IsADirectoryError:
        return
    except (OSError, ValueError) as error:
        reason = f"the service file {file} cannot be read: {unreadable(error)}"
        raise BadServiceFile(Fault(reason, "name a file that exists and can be read")) from None
    for number, line in enumerate(iter(lambda: content.readline(LINE_LIMIT + 1), b""), start=1):
        read, _, _ = line.partition(b"\0")
        if len(read) > LINE_LIMIT:
            reason = f"this line is longer than libpq's {LINE_LIMIT} bytes"
            raise BadServiceFile(Fault(reason, "make it shorter", number))
        said = read.strip(_BLANKS)
        if said and not said.startswith(b"#"):
            yield number, said
