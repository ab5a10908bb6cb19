"""The environment of the process, which libpq reads whenever it connects, kept from interfering."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock


class _Imposed:
    """Variables that have other values for as long as anyone needs them to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._found: dict[str, str | None] = {}

    def begin(self, values: Mapping[str, str | None]) -> None:
        with self._lock:
            self._users += 1
            for name, value in values.items():
                if os.environ.get(name) != value:
                    self._found.setdefault(name, os.environ.get(name))
                    _put(name, value)

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                for name, value in self._found.items():
                    _put(name, value)
                self._found.clear()


_IMPOSED = _Imposed()


@contextmanager
def imposed(values: Mapping[str, str | None]) -> Iterator[None]:
    """Let variables have the values that libpq is to read; with None they are unset.

    The environment belongs to the whole process, and other threads may be connecting: it is touched
    only where it differs, and for as short as possible.

    Parameters
    ----------
    values
        Name to value. What was there returns when the last of several overlapping uses ends.
    """
    _IMPOSED.begin(values)
    try:
        yield
    finally:
        _IMPOSED.end()


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
