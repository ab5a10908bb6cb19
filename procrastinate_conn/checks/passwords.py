"""Whether the sources that a password is read from at run time can give one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from procrastinate_conn.artifacts import find_artifact, hint_for
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.password_file import look_up
from procrastinate_conn.files import expanded, is_plain_file
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.passwords import PasswordUnavailable, from_file
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import is_file_content, is_safe_path
from procrastinate_conn.sources.password_file import (
    PASSWORD_FILE_IGNORED,
    find_deceptive_login,
    find_line,
    find_misread_encoding,
    find_short_line,
)

UNUSABLE_PASSWORD_FILE = Rule(
    "PC507",
    "password_file without a password",
    "Every new connection reads the password from it, and fails.",
    "Name a file that exists, that the process may read, and whose content is the password.",
    example=Example("PROCRASTINATE_CONN_PASSWORD_FILE=db-password", given="there is no file db-password"),
)

UNUSABLE_PASSWORD_COMMAND = Rule(
    "PC508",
    "password_command that cannot be run",
    "Every new connection runs it for the password, and fails.",
    "Name a program that is installed and in PATH, or its full path. No shell reads the command.",
    example=Example("PROCRASTINATE_CONN_PASSWORD_COMMAND=vault-read secret/jobs"),
)

REJECTED_TOKEN = Rule(
    "PC510",
    "token that require_auth rejects",
    "A managed server asks for a token as a password in plain text, and libpq refuses to send it.",
    "Leave require_auth out, and verify the server: sslmode=verify-full.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?require_auth=scram-sha-256\n"
        "PROCRASTINATE_CONN_PASSWORD_COMMAND=sh -c 'aws rds generate-db-auth-token'"
    ),
)

_MANAGED_LOGINS = (
    "aws rds generate-db-auth-token|az account get-access-token|gcloud sql generate-login-token"
    "|gcloud auth print-access-token"
)
_SHELL_OPERATORS = ("|", "||", "&&", "<", ">", ">>")
_REFERENCE = re.compile(r"\$\(.*|\$\{?[A-Z_][A-Z0-9_]*\}?(/.*)?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PROGRAMS = (
    *("aws", "az", "bash", "cat", "gcloud", "gopass", "op", "pass"),
    *("python", "python3", "secret-tool", "security", "sh", "vault"),
)
"""Programs that passwords are usually read with. Any other word that is not a path may be the password."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Check the effective source; a command is looked up and not run."""
    explicit = configuration.settings.explicit
    match configuration.settings.password_setting:
        case "password_file" as name:
            yield from _check_file(explicit[name])
        case "password_command" as name:
            yield from _check_command(explicit[name])
            yield from _check_token(str(explicit[name].value), configuration)
        case "":
            yield from _check_passfile(configuration)


def _check_file(sourced: SourcedValue) -> Iterator[Problem]:
    path = str(sourced.value)
    try:
        password, message = from_file(path)(), ""
    except PasswordUnavailable as error:
        password, message = "", str(error)
    if "\n" in password:
        message = "the file of password_file has several lines, and all of them are the password"
        hint = "name a file that holds the password alone; passfile names libpq's own password file"
    elif password:
        return
    elif is_file_content(path):
        message = "password_file is longer than the name of a file can be: it seems to be the password itself"
        hint = "write it into a file, and name that"
    elif _REFERENCE.fullmatch(path):
        hint = "write ${NAME} in an env file; variables are replaced nowhere else"
    elif artifact := find_artifact(path, sourced.origin.source):
        hint = artifact.hint
    elif not is_safe_path(path):
        hint = "name a file that exists; write the password itself as connection.password"
    elif os.path.isdir(expanded(path)):  # noqa: PTH112 - pathlib's raises for a name with a NUL
        hint = "it is a directory: name a file"
    else:
        hints = {"UTF-8": "save it as UTF-8", "empty": "write the password into it"}
        default = "it is read for every new connection, relative to the working directory"
        hint = next((hint for word, hint in hints.items() if word in message), default)
    yield UNUSABLE_PASSWORD_FILE("password_file", message, hint=hint, origin=sourced.origin)


def _check_command(sourced: SourcedValue) -> Iterator[Problem]:
    words = shlex.split(str(sourced.value))
    program = words[0]
    if syntax := _shell_syntax(words):
        message, hint = f"{syntax}, as in a shell", "no shell reads it: write sh -c '...'"
    elif shutil.which(program) is not None:
        return
    elif "/" in program and is_plain_file(program):
        message, hint = f"runs {program}, which is not executable", "chmod +x it"
    else:
        name = program if program in _PROGRAMS or is_safe_path(program) else "something"
        message, hint = f"runs {name}, which is not found", "write its full path"
    hint = hint_for(sourced.value, hint, sourced.origin.source)
    message = f"password_command {message}"
    yield UNUSABLE_PASSWORD_COMMAND("password_command", message, hint=hint, origin=sourced.origin)


def _check_token(command: str, configuration: Configuration) -> Iterator[Problem]:
    require_auth = configuration.connection.effective.get("require_auth")
    if require_auth is None or not re.search(_MANAGED_LOGINS, command):
        return
    text = str(require_auth.value)
    methods = [method.strip() for method in text.split(",")]
    if "!password" in methods or (text and "!" not in text and "password" not in methods):
        message = "require_auth excludes password, and the token of password_command is sent as one"
        hint = "leave require_auth out, and set sslmode=verify-full"
        yield REJECTED_TOKEN("connection.require_auth", message, hint=hint, origin=require_auth.origin)


def _shell_syntax(words: list[str]) -> str:
    """Return which syntax of a shell a command has; a word that may be a secret is not shown."""
    if operator := next((word for word in words if word in _SHELL_OPERATORS), None):
        return f"has a {operator} in it"
    if "-c" not in words and any(map(_REFERENCE.fullmatch, words)):
        return "has a $ in it"
    name, is_assignment, _ = words[0].partition("=")
    if is_assignment and shutil.which(words[0]) is None:
        return f"sets {name if _VARIABLE.fullmatch(name) else 'a variable'}"
    return ""


def _check_passfile(configuration: Configuration) -> Iterator[Problem]:
    """Report a password file, or a line of it, that libpq ignores silently."""
    effective = configuration.connection.effective
    passfile, password = effective.get("passfile"), effective.get("password")
    if password is not None and password.value:
        return
    yield from _check_lines(configuration)
    if passfile and passfile.value and not os.path.lexists(path := str(passfile.value)):
        message = f"libpq finds no password file {path if is_safe_path(path) else 'of the configured name'}"
        hint = hint_for(path, "name a file that exists; libpq does not expand ~", passfile.origin.source)
        yield PASSWORD_FILE_IGNORED("connection.passfile", message, hint=hint, origin=passfile.origin)


def _check_lines(configuration: Configuration) -> Iterator[Problem]:
    """Report a line with too few fields, if no line has a password for any of the hosts."""
    spec = configuration.spec
    if spec is None or spec.passfile is None or look_up(spec, find_line):
        return
    if encoding := find_misread_encoding(Path(spec.passfile)):
        message = f"the password file {spec.passfile} {encoding}, and no line is for this login"
        hint = "save it as UTF-8 without a byte order mark"
        origin = Origin("passfile", None, spec.passfile, 1)
        yield PASSWORD_FILE_IGNORED("connection.passfile", message, hint=hint, origin=origin)
    elif found := look_up(spec, find_deceptive_login):
        origin, artifact = found[0]
        message = f"no line of {origin.file} is for this login; line {origin.line} has {artifact.description}"
        yield PASSWORD_FILE_IGNORED("connection.passfile", message, hint=artifact.hint, origin=origin)
    elif line := find_short_line(Path(spec.passfile)):
        message = f"libpq ignores line {line.line} of {line.file}, which has fewer than five fields"
        hint = "write host:port:database:user:password, with * for what may be anything"
        yield PASSWORD_FILE_IGNORED("connection.passfile", message, hint=hint, origin=line)
