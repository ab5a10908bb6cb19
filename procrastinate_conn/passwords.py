"""Sources of passwords that change: a file, a command or a function, read for every new connection."""

from __future__ import annotations

import inspect
import os
import shlex
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pydantic import SecretStr

from procrastinate_conn.origins import Origin
from procrastinate_conn.redaction import is_safe_path
from procrastinate_conn.subprocesses import CommandFailed, output
from procrastinate_conn.tracebacks import raised_at

PasswordFunction = Callable[[], str]
"""Return the password, or raise `PasswordUnavailable`; called for every new connection, from any thread."""

MAX_BYTES = 64 * 1024
"""Size limit of a password; a cloud's tokens have a few thousand bytes."""

COMMAND_TIME_LIMIT = 10.0
"""Seconds that a password command may take."""

COMMAND_CACHED_FOR = 10.0
"""Seconds that a password command's output is used for. A pool that fills runs the command once, and a
caller, which waits for 30 s by default, still gets a connection after the password has changed."""


class PasswordUnavailable(RuntimeError):
    """A password source failed; the message never holds what was read, printed or raised."""


class _InvalidPassword(ValueError):
    """Something that cannot be a password; the message says what it is instead."""


class PasswordSource(ABC):
    """A password source, with the setting that configures it and its origin, for messages."""

    setting: str

    @abstractmethod
    def __call__(self) -> str:
        """Return the password, or raise `PasswordUnavailable`."""

    def __repr__(self) -> str:
        return f"PasswordSource({self.setting!r})"


def forget(password: PasswordFunction) -> None:
    """Let a source read its password anew the next time, since the server has rejected the last one."""
    if isinstance(password, _Command):
        password.forget()


def from_file(file: str | Path, origin: Origin | None = None) -> PasswordFunction:
    """Return a source that reads a file each time: a plain file, or a link to one; ``~`` is expanded.

    Its whole content is the password, less one line break at the end.
    """
    path = os.path.abspath(os.path.expanduser(file))  # noqa: PTH100, PTH111 - pathlib's raises for ~nobody
    name = path if is_safe_path(str(file)) else "its file"
    return _File(_setting("password_file", origin), path, name)


def from_command(command: str, origin: Origin | None = None) -> PasswordFunction:
    """Return a source that runs a command, without a shell, and uses its output for `COMMAND_CACHED_FOR`.

    The command is split into words as a POSIX shell splits them; `ValueError` is raised if it has an open
    quote, or no words. Its output is the password, less one line break at the end.
    """
    words = shlex.split(command)
    if not words:
        raise ValueError("a command has at least one word")
    return _Command(_setting("password_command", origin), words)


def from_function(function: Callable[[], object], origin: Origin | None = None) -> PasswordFunction:
    """Return a source that calls a function each time, which returns text or a `pydantic.SecretStr`.

    The function is plain, since a synchronous connection could not await it; an asynchronous connector
    calls it in a thread.
    """
    return _Function(_setting("password", origin), function)


@dataclass(frozen=True, repr=False)
class _File(PasswordSource):
    setting: str
    path: str
    name: str  # in messages

    def __call__(self) -> str:
        try:
            return _validated(_content(self.path))
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except ValueError as error:
            reason = str(error)
        raise PasswordUnavailable(f"{self.setting}: {self.name} cannot be used: {reason}")


@dataclass(frozen=True, repr=False)
class _Function(PasswordSource):
    setting: str
    function: Callable[[], object]

    def __call__(self) -> str:
        try:
            return _validated(_encoded(self.function()))
        except _InvalidPassword as invalid:
            reason = f"returned {invalid}"
        except Exception as error:  # noqa: BLE001 - whatever the user's function does
            reason = f"raised {type(error).__name__} at {raised_at(error, frames=2)}"
        raise PasswordUnavailable(f"{self.setting}: the function {reason}")


class _Command(PasswordSource):
    """Run a command once for all threads that need its output at the same time."""

    def __init__(self, setting: str, words: list[str]) -> None:
        self.setting = setting
        self._words = words
        self._password = ""
        self._failure = ""
        self._runs = 0
        self._valid_until = 0.0
        self._process_id = os.getpid()
        self._running = threading.Lock()

    def __call__(self) -> str:
        runs = self._runs
        with self._lock():
            # Threads that waited for a run share its result, or each would wait for a failure of its own.
            if self._runs == runs and monotonic() >= self._valid_until:
                self._failure = self._run()
                self._runs += 1
            password, failure = self._password, self._failure
        if failure:
            raise PasswordUnavailable(failure)
        return password

    def forget(self) -> None:
        self._valid_until = 0.0

    def __reduce__(self) -> tuple[type[_Command], tuple[str, list[str]]]:
        """Pickle neither the lock nor the password."""
        return _Command, (self.setting, self._words)

    def _lock(self) -> threading.Lock:
        """Return the lock, a new one after a fork: a thread of the parent may have locked the old one."""
        if self._process_id != os.getpid():
            self._process_id, self._running = os.getpid(), threading.Lock()
        return self._running

    def _run(self) -> str:
        """Run the command, keep its output, and return why there is none."""
        try:
            self._password = _validated(output(self._words, seconds=COMMAND_TIME_LIMIT, max_bytes=MAX_BYTES))
        except OSError as error:
            # Without the words: VARIABLE=secret before a command is a habit from shells.
            reason = f"cannot be started: {error.strerror}; it is run without a shell"
        except CommandFailed as failed:
            reason = str(failed)
        except ValueError as error:
            reason = f"printed what cannot be used: {error}"
        else:
            self._valid_until = monotonic() + COMMAND_CACHED_FOR
            return ""
        return f"{self.setting}: the command {reason}"


def _setting(name: str, origin: Origin | None) -> str:
    return f"{name} ({origin})" if origin else name


def _content(path: str) -> bytes:
    """Return the content of a plain file; opening anything else does not block."""
    nonblock = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | nonblock)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _InvalidPassword("it is not a plain file")
        return file.read(MAX_BYTES + 1)


def _validated(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _InvalidPassword(f"more than {MAX_BYTES} bytes")
    try:
        password = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError:
        password = None
    if password is None:  # raised out here, so that the content is no part of the error's context
        raise _InvalidPassword("text that is not UTF-8")
    password = password.removesuffix("\n").removesuffix("\r")
    if not password:
        raise _InvalidPassword("an empty password")
    if "\0" in password:
        raise _InvalidPassword("text with a NUL character")
    return password


def _encoded(returned: object) -> bytes:
    if inspect.iscoroutine(returned):
        returned.close()
    if isinstance(returned, SecretStr):
        returned = returned.get_secret_value()
    if not isinstance(returned, str):
        raise _InvalidPassword(f"a {type(returned).__name__}, not text")
    return returned.encode("utf-8", "surrogatepass")
