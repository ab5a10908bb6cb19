"""Passwords that change: read anew for every connection."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

PasswordSource = Callable[[], str]
"""Called for every new connection; gives its password."""

COMMAND_TIME_LIMIT = 10.0
"""Seconds that a password command may take."""


class PasswordUnavailable(RuntimeError):
    """A password could not be read; the message never holds what was read or printed."""


def from_file(file: str | Path) -> PasswordSource:
    """Return a source that reads a file.

    Parameters
    ----------
    file
        Its whole content is the password, less one line break at the end.

    Raises
    ------
    PasswordUnavailable
        By the source, when the file cannot be read or is empty.
    """
    path = Path(file).expanduser()

    def read() -> str:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise PasswordUnavailable(f"the password file {file} cannot be read: {reason}") from None
        password = text.removesuffix("\n").removesuffix("\r")
        if not password:
            raise PasswordUnavailable(f"the password file {file} is empty")
        return password

    return read


def from_command(command: str) -> PasswordSource:
    """Return a source that runs a command, without a shell.

    Parameters
    ----------
    command
        A command line, split into words as a POSIX shell splits them. What it prints is the password,
        less one line break at the end.

    Raises
    ------
    PasswordUnavailable
        By the source, when the command fails, takes longer than ``COMMAND_TIME_LIMIT``, or prints nothing.
    """
    words = shlex.split(command)
    name = words[0] if words else command

    def run() -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the command is the user's own, and no shell reads it
                words, capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=COMMAND_TIME_LIMIT
            )
            password = done.stdout.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except subprocess.TimeoutExpired:
            raise PasswordUnavailable(
                f"the password command {name} took longer than {COMMAND_TIME_LIMIT:g} s"
            ) from None
        except subprocess.CalledProcessError as error:
            raise PasswordUnavailable(
                f"the password command {name} ended with status {error.returncode}"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "what it prints is not UTF-8"
            raise PasswordUnavailable(f"the password command {name} failed: {reason}") from None
        if not password:
            raise PasswordUnavailable(f"the password command {name} printed nothing")
        return password

    return run
