"""Whether the places that a password is read from at run time can give one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.files import expanded, is_plain_file, status
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.passwords import PasswordUnavailable, from_file
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import is_file_content, is_safe_path
from procrastinate_conn.resolution.settings import PASSWORD_SOURCES
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.sources.password_file import PASSWORD_FILE_IGNORED, find_short_line

UNUSABLE_PASSWORD_FILE = Rule(
    "PC507",
    "password_file that holds no password",
    "Every new connection reads the password from it, and fails.",
    "Name a file that exists, that the process may read, and whose content is the password.",
    example=Example("PROCRASTINATE_CONN_PASSWORD_FILE=db-password", given="there is no file db-password"),
)

UNKNOWN_COMMAND = Rule(
    "PC508",
    "password_command that cannot be run",
    "Every new connection runs it for the password, and fails.",
    "Name a program that is installed and in PATH, or its full path. No shell reads the command.",
    example=Example("PROCRASTINATE_CONN_PASSWORD_COMMAND=vault-read secret/jobs"),
)


def check(configuration: Configuration) -> Iterator[Problem]:
    """Judge the source that is in force; a command is looked up and not run.

    Parameters
    ----------
    configuration
        ``password_file`` and ``password_command`` come from its settings, ``passfile`` is libpq's.
    """
    name, stated = source_in_force(configuration)
    if stated is None:
        yield from _check_passfile(configuration)
    elif name == "password_file":
        yield from _check_file(stated)
    elif name == "password_command":
        yield from _check_command(stated)


def source_in_force(configuration: Configuration) -> tuple[str, SourcedValue | None]:
    """Return the name of the setting that the password is read by at run time, and where it is stated."""
    if configuration.settings.password is not None:
        for source in configuration.sources:
            for name in PASSWORD_SOURCES:
                if (name,) in source.settings:
                    return name, source.settings[(name,)]
    return "", None


def _check_file(stated: SourcedValue) -> Iterator[Problem]:
    path = str(stated.value)
    try:
        password = from_file(path)()
    except PasswordUnavailable as unavailable:
        message = str(unavailable)
        hint = _remedy(path, message)
    else:
        if "\n" in password:
            yield UNUSABLE_PASSWORD_FILE(
                "password_file",
                "the file of password_file has several lines, and all of them are the password",
                hint="name a file that holds the password alone; passfile names libpq's own password file",
                origin=stated.origin,
            )
        return
    if is_file_content(path):
        message = "password_file is longer than the name of a file can be: it seems to be the password itself"
        hint = "write it into a file, and name that"
    elif _REFERENCE.fullmatch(path):
        hint = "write ${NAME} in an env file; elsewhere no variable is put in"
    elif not is_safe_path(path):
        hint = "name a file that exists; write the password itself as connection.password"
    yield UNUSABLE_PASSWORD_FILE("password_file", message, hint=hint, origin=stated.origin)


def _remedy(path: str, message: str) -> str:
    found = status(expanded(path))
    if found is not None and stat.S_ISDIR(found.st_mode):
        return "it is a directory: name a file"
    if "UTF-8" in message:
        return "save it as UTF-8"
    if "empty" in message:
        return "write the password into it"
    return "it is read for every new connection, relative to the working directory"


def _check_command(stated: SourcedValue) -> Iterator[Problem]:
    words = shlex.split(str(stated.value))
    program = words[0]
    if meant := _meant_for_a_shell(words):
        message, hint = f"{meant}, as in a shell", "no shell reads it: write sh -c '...'"
    elif shutil.which(program) is None and "/" in program and is_plain_file(program):
        message, hint = f"runs {program}, which nobody may execute", "chmod +x it"
    elif shutil.which(program) is None:
        named = program if program in _PROGRAMS or is_safe_path(program) else "something"
        message, hint = f"runs {named}, which is not found", "write its full path"
    else:
        return
    yield UNKNOWN_COMMAND("password_command", f"password_command {message}", hint=hint, origin=stated.origin)


def _meant_for_a_shell(words: list[str]) -> str:
    """Say what in a command only a shell understands; a word that may be a secret is not shown."""
    if operator := next((word for word in words if word in _OPERATORS), None):
        return f"has a {operator} in it"
    if "-c" not in words and any(map(_REFERENCE.fullmatch, words)):
        return "has a $ in it"
    name, is_assignment, _ = words[0].partition("=")
    if is_assignment and shutil.which(words[0]) is None:
        return f"sets {name if _VARIABLE.fullmatch(name) else 'a variable'}"
    return ""


_OPERATORS = ("|", "||", "&&", "<", ">", ">>")
_REFERENCE = re.compile(r"\$\(.*|\$\{?[A-Z_][A-Z0-9_]*\}?(/.*)?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PROGRAMS = (
    "aws",
    "az",
    "bash",
    "cat",
    "gcloud",
    "gopass",
    "op",
    "pass",
    "python",
    "python3",
    "secret-tool",
    "security",
    "sh",
    "vault",
)
"""What passwords are commonly had from. What else was written, if not a path, may be the password."""


def _check_passfile(configuration: Configuration) -> Iterator[Problem]:
    """Report a password file, or a line of it, that libpq passes over in silence."""
    stated = configuration.connection.effective
    passfile = stated.get("passfile")
    if _states_password(stated):
        return
    yield from _check_lines(configuration)
    if passfile is None or not passfile.value:
        return
    if not os.path.lexists(path := Path(str(passfile.value))):
        named = f"{path}" if is_safe_path(str(path)) else "of the name that is stated"
        yield PASSWORD_FILE_IGNORED(
            "connection.passfile",
            f"libpq finds no password file {named}",
            hint="name a file that exists; libpq does not expand ~",
            origin=passfile.origin,
        )


def _check_lines(configuration: Configuration) -> Iterator[Problem]:
    """Report a line with too few fields, where no line has a password for any of the hosts."""
    spec = configuration.spec
    if spec is None or spec.passfile is None or any(password_line(spec, h) for h in hosts(spec.parameters)):
        return
    if line := find_short_line(Path(spec.passfile)):
        yield PASSWORD_FILE_IGNORED(
            "connection.passfile",
            f"libpq passes over line {line.line} of {line.file}, which has fewer than five fields",
            hint="write host:port:database:user:password, with * for what may be anything",
            origin=line,
        )


def _states_password(stated: Mapping[str, SourcedValue]) -> bool:
    return "password" in stated and bool(stated["password"].value)
