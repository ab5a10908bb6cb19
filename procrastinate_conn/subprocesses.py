"""A command that is run without a shell, and may neither take too long nor print too much."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import IO

_PIECE = 64 * 1024
_PAUSE = 0.05
"""Seconds between two looks whether a command has ended, while something else may hold its output open."""

_Read = Callable[[float], bytes | None]
"""Waits so many seconds for what is printed: None if there is nothing yet, and no bytes at its end."""


class Failed(Exception):
    """A command ended otherwise than it should; says how."""


def output(words: list[str], *, seconds: float, most: int) -> bytes:
    """Return what a command prints on its standard output.

    What it prints on its standard error is dropped, since that may be a secret too. What it leaves running
    is left alone, and not waited for, unless nothing was printed yet: an agent that was started on the way
    may hold the output open for days.

    Parameters
    ----------
    words
        The command and its arguments.
    seconds
        How long it may take; then it is killed, with what it started.
    most
        Bytes that it may print. One that prints more is killed, and more is returned.

    Raises
    ------
    OSError
        It cannot be started.
    Failed
        It took too long, or ended with another status than 0.
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
        printed = _printed(process, deadline, most)
        if len(printed) > most:
            return printed
        status = process.wait(max(0.0, deadline - monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise Failed(f"took longer than {seconds:g} s") from None
    finally:
        _kill(process)
    if status:
        raise Failed(f"ended with status {status}")
    return printed


def _printed(process: subprocess.Popen[bytes], deadline: float, most: int) -> bytes:
    """Read until the output ends, or the command has ended and has printed something."""
    assert process.stdout is not None
    printed = b""
    with _READING(process.stdout) as read:
        while len(printed) <= most:
            # Asked before the pipe, which then holds all that it printed. While nothing was printed it is
            # not asked, nor reaped: until it is reaped, the number of its group is nobody else's.
            ended = bool(printed) and process.poll() is not None
            piece = read(_PAUSE)
            if piece == b"" or (ended and piece is None):
                break
            printed += piece or b""
            if monotonic() >= deadline:
                if ended:
                    break
                raise TimeoutError
    return printed


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and those that it started, unless it was reaped: its number may be another's by now."""
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
def _selecting(pipe: IO[bytes]) -> Iterator[_Read]:
    """Read a pipe, and close it even where somebody else still holds its other end."""
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        yield lambda seconds: pipe.read(_PIECE) if selector.select(seconds) else None


@contextmanager
def _in_a_thread(pipe: IO[bytes]) -> Iterator[_Read]:
    """Read a pipe where a selector takes none; the thread closes it once nobody holds the other end."""
    pieces: Queue[bytes] = Queue(1)  # so that it does not go on reading when nobody asks any more

    def feed() -> None:
        with pipe:
            while piece := pipe.read(_PIECE):
                pieces.put(piece)
        pieces.put(b"")

    def read(seconds: float) -> bytes | None:
        try:
            return pieces.get(timeout=seconds)
        except Empty:
            return None

    Thread(target=feed, daemon=True).start()
    yield read


_READING: Callable[[IO[bytes]], AbstractContextManager[_Read]]
_READING = _in_a_thread if os.name == "nt" else _selecting
