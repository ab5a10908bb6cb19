"""Run a command without a shell, with a time limit and a limit of output, both enforced.

`subprocess.run` does neither when it matters: it reads without a limit, and after its timeout it waits for
every process that holds the output open, such as an agent that the command has started.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import IO

_CHUNK = 64 * 1024
_POLL_INTERVAL = 0.05
"""Seconds between two checks whether a command has ended."""

_Read = Callable[[], bytes | None]
"""Return a chunk of output; None if there is none within `_POLL_INTERVAL`, and no bytes at its end."""


class CommandFailed(Exception):
    """A command took too long, or ended with another status than 0."""


def output(words: list[str], *, seconds: float, max_bytes: int) -> bytes:
    """Run a command, and return its standard output.

    Its standard error is dropped, since that may hold a secret too. After `seconds` the command is killed,
    with its process group, and so it is after more than `max_bytes` of output, which are returned then.
    Processes that it leaves running are left alone, and not waited for once there is output: an agent may
    hold it open for days. `OSError` is raised if the command cannot be started.
    """
    deadline = monotonic() + seconds
    process = subprocess.Popen(  # noqa: S603 - the command is the user's own, and no shell reads it
        words,
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        printed = _read_output(process, deadline, max_bytes)
        if len(printed) > max_bytes:
            return printed
        status = process.wait(max(0.0, deadline - monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise CommandFailed(f"took longer than {seconds:g} s") from None
    finally:
        _kill(process)
    if status:
        raise CommandFailed(f"ended with status {status}")
    return printed


def _read_output(process: subprocess.Popen[bytes], deadline: float, max_bytes: int) -> bytes:
    """Read until the output ends, or until the command has ended and has printed something."""
    assert process.stdout is not None
    printed = b""
    with _reader(process.stdout) as read:
        while len(printed) <= max_bytes:
            # Polled before the pipe is read, which then holds all output. Without output it is not polled,
            # since that reaps it: until then, no other process can get the number of its group.
            has_ended = bool(printed) and process.poll() is not None
            chunk = read()
            if chunk == b"" or (has_ended and chunk is None):
                break
            printed += chunk or b""
            if monotonic() >= deadline:
                if has_ended:
                    break
                raise TimeoutError
    return printed


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group, unless it was reaped: another process may have its number by now."""
    if process.returncode is not None:
        return
    if os.name == "nt":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # it is another user's: sudo
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(1.0)


@contextmanager
def _select_reader(pipe: IO[bytes]) -> Iterator[_Read]:
    """Read a pipe, and close it even if another process still holds its other end."""
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        yield lambda: pipe.read(_CHUNK) if selector.select(_POLL_INTERVAL) else None


@contextmanager
def _thread_reader(pipe: IO[bytes]) -> Iterator[_Read]:
    """Read a pipe on Windows, which cannot select it; the thread closes it at its end."""
    chunks: Queue[bytes] = Queue(1)  # so that reading stops with the reader

    def feed() -> None:
        with pipe:
            while chunk := pipe.read(_CHUNK):
                chunks.put(chunk)
        chunks.put(b"")

    def read() -> bytes | None:
        with suppress(Empty):
            return chunks.get(timeout=_POLL_INTERVAL)
        return None

    Thread(target=feed, daemon=True).start()
    yield read


_reader = _thread_reader if os.name == "nt" else _select_reader
