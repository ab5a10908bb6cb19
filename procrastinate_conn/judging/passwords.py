"""Whether the places that a password is read from at run time can give one."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import Located
from procrastinate_conn.passwords import PasswordUnavailable, from_file
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.settings import PASSWORD_SOURCES
from procrastinate_conn.rules import connection as connection_rules
from procrastinate_conn.rules import security as rules


def judge(configuration: Configuration) -> Iterator[Problem]:
    """Judge the source that is in force; a command is looked up and not run.

    Parameters
    ----------
    configuration
        ``password_file`` and ``password_command`` come from its settings, ``passfile`` is libpq's.
    """
    name, stated = source_in_force(configuration)
    if stated is None:
        yield from _judge_passfile(configuration)
    elif name == "password_file":
        yield from _judge_file(stated)
    elif name == "password_command":
        yield from _judge_command(stated)


def source_in_force(configuration: Configuration) -> tuple[str, Located | None]:
    """Return the name of the setting that the password is read by at run time, and where it is stated."""
    if configuration.settings.password is not None:
        for place in configuration.places:
            for name in PASSWORD_SOURCES:
                if (name,) in place.settings:
                    return name, place.settings[(name,)]
    return "", None


def _judge_file(stated: Located) -> Iterator[Problem]:
    try:
        from_file(str(stated.value))()
    except PasswordUnavailable as unavailable:
        yield rules.UNUSABLE_PASSWORD_FILE(
            "password_file",
            str(unavailable),
            hint="it is read for every new connection, relative to the working directory",
            origin=stated.origin,
        )


def _judge_command(stated: Located) -> Iterator[Problem]:
    program = shlex.split(str(stated.value))[0]
    if shutil.which(program) is None:
        # NAME=value before a command is a shell's way to set a variable, and the value may be a secret.
        name, is_assignment, _ = program.partition("=")
        message = f"sets {name}, as in a shell" if is_assignment else f"runs {name}, which is not found"
        yield rules.UNKNOWN_COMMAND(
            "password_command",
            f"password_command {message}",
            hint="no shell reads it: write sh -c '...'" if is_assignment else "write its full path",
            origin=stated.origin,
        )


def _judge_passfile(configuration: Configuration) -> Iterator[Problem]:
    """Report a password file that was named and is not there, which libpq passes over in silence."""
    stated = configuration.connection.winners
    passfile = stated.get("passfile")
    if passfile is None or not passfile.value or _states_password(stated):
        return
    if not os.path.lexists(path := Path(str(passfile.value))):
        yield connection_rules.PASSWORD_FILE_IGNORED(
            "connection.passfile",
            f"libpq finds no password file {path}",
            hint="name a file that exists; libpq does not expand ~",
            origin=passfile.origin,
        )


def _states_password(stated: Mapping[str, Located]) -> bool:
    return "password" in stated and bool(stated["password"].value)
