"""Passwords that change: asked for whenever a connection is made."""

from __future__ import annotations

import inspect
import os
import shlex
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from pydantic import SecretStr

from procrastinate_conn import subprocesses as running
from procrastinate_conn.files import may_be_shown
from procrastinate_conn.origins import Origin
from procrastinate_conn.tracebacks import raised_at

PasswordFunction = Callable[[], str]
"""Called for every new connection, from any thread; gives its password."""

LARGEST = 64 * 1024
"""Bytes of the largest password: a cloud's tokens have a few thousand."""

COMMAND_TIME_LIMIT = 10.0
"""Seconds that a password command may take."""

COMMAND_KEPT_FOR = 10.0
"""Seconds that a password command's output is used for. A pool that fills runs the command once, and a
caller, who waits for 30 s by default, still gets a connection after the password has changed."""


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """A source that a setting states.

    Parameters
    ----------
    setting
        The setting, and where it is written.
    ask
        The source.
    """

    setting: str
    ask: PasswordFunction = field(repr=False)

    def __call__(self) -> str:
        """Give the password."""
        return self.ask()


class PasswordUnavailable(RuntimeError):
    """A password could not be had; the message never holds what was read, printed or raised."""


def from_file(file: str | Path, origin: Origin | None = None) -> PasswordFunction:
    """Return a source that reads a file each time.

    Parameters
    ----------
    file
        A plain file, or a link to one; ``~`` is the home directory. Its whole content is the password,
        less one line break at the end.
    origin
        Where the file is named.

    Raises
    ------
    PasswordUnavailable
        By the source, when the file cannot be read, or holds nothing that can be a password.
    """
    path = os.path.abspath(os.path.expanduser(file))  # noqa: PTH100, PTH111 - pathlib's raises for ~nobody
    setting = _setting("password_file", origin)

    def read() -> str:
        try:
            return _password(_content(path))
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except ValueError as error:
            reason = str(error)
        named = path if may_be_shown(str(file)) else "its file"
        raise PasswordUnavailable(f"{setting}: {named} cannot be used: {reason}")

    return PasswordSource(setting, read)


def from_command(command: str, origin: Origin | None = None) -> PasswordFunction:
    """Return a source that runs a command, without a shell, and uses its output for `COMMAND_KEPT_FOR`.

    Parameters
    ----------
    command
        A command line, split into words as a POSIX shell splits them. What it prints is the password,
        less one line break at the end.
    origin
        Where the command is written.

    Raises
    ------
    ValueError
        The command has an open quote, or no words.
    PasswordUnavailable
        By the source, when the command fails, takes longer than `COMMAND_TIME_LIMIT`, or prints nothing
        that can be a password.
    """
    words = shlex.split(command)
    if not words:
        raise ValueError("a command has at least one word")
    setting = _setting("password_command", origin)
    return PasswordSource(setting, _Command(words, setting))


def from_function(function: Callable[[], object], origin: Origin | None = None) -> PasswordFunction:
    """Return a source that calls a function each time.

    Parameters
    ----------
    function
        Plain, since a synchronous connection could not await it; an asynchronous connector calls it in
        a thread. It gives text or a `pydantic.SecretStr`.
    origin
        Where the function is given.

    Raises
    ------
    PasswordUnavailable
        By the source, when the function raises, or gives nothing that can be a password.
    """
    setting = _setting("password", origin)

    def call() -> str:
        try:
            return _password(_text(function()))
        except _Unusable as unusable:
            reason = f"gave {unusable}"
        except Exception as error:  # noqa: BLE001 - whatever the user's function does
            reason = f"raised {type(error).__name__} at {raised_at(error, frames=2)}"
        raise PasswordUnavailable(f"{setting}: the function {reason}")

    return PasswordSource(setting, call)


class _Unusable(ValueError):
    """What cannot be a password; says what it is instead."""


class _Command:
    """Runs a command, once for all the threads that ask at the same time."""

    def __init__(self, words: list[str], setting: str) -> None:
        self._words = words
        self._setting = setting
        self._printed = ""
        self._failure = ""
        self._runs = 0
        self._valid_until = 0.0
        self._process_id = os.getpid()
        self._running = threading.Lock()

    def __call__(self) -> str:
        seen = self._runs
        with self._lock():
            # Who has waited for a run takes what came of it, or each would wait for a failure of its own.
            if self._runs == seen and monotonic() >= self._valid_until:
                self._failure = self._run()
                self._runs += 1
            printed, failure = self._printed, self._failure
        if failure:
            raise PasswordUnavailable(failure)
        return printed

    def _lock(self) -> threading.Lock:
        """Return the lock, a new one after a fork: the old one may be held by a thread that is no more."""
        if self._process_id != os.getpid():
            self._process_id, self._running = os.getpid(), threading.Lock()
        return self._running

    def _run(self) -> str:
        """Run the command, keep what it prints, and return why there is nothing to keep."""
        try:
            printed = running.output(self._words, seconds=COMMAND_TIME_LIMIT, most=LARGEST)
            self._printed = _password(printed)
        except OSError as error:
            # The words stay unsaid: VARIABLE=secret before a command is a habit from shells.
            reason = f"cannot be started: {error.strerror}; it is run without a shell"
        except running.Failed as failed:
            reason = str(failed)
        except ValueError as error:
            reason = f"printed what cannot be used: {error}"
        else:
            self._valid_until = monotonic() + COMMAND_KEPT_FOR
            return ""
        return f"{self._setting}: the command {reason}"


def _setting(name: str, origin: Origin | None) -> str:
    return f"{name} ({origin})" if origin else name


def _content(path: str) -> bytes:
    """Return what a plain file holds; opening anything else does not block."""

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

    with open(path, "rb", opener=opener) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _Unusable("it is not a plain file")
        return file.read(LARGEST + 1)


def _password(content: bytes) -> str:
    if len(content) > LARGEST:
        raise _Unusable(f"more than {LARGEST} bytes")
    try:
        password = content.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        password = None
    if password is None:  # raised out here, so that the content is no part of the error's context
        raise _Unusable("text that is not UTF-8")
    password = password.removesuffix("\n").removesuffix("\r")
    if not password:
        raise _Unusable("an empty password")
    if "\0" in password:
        raise _Unusable("text with a NUL character")
    return password


def _text(given: object) -> bytes:
    if inspect.iscoroutine(given):
        given.close()
    if isinstance(given, SecretStr):
        given = given.get_secret_value()
    if not isinstance(given, str):
        raise _Unusable(f"a {type(given).__name__}, not text")
    return given.encode("utf-8", "surrogatepass")
